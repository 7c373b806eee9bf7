import { BootswarmError } from '../base/index.ts'

// The frames of yamux (github.com/hashicorp/yamux, spec.md), as they come in.

export const yamuxHeadBytes = 12
export const yamuxTypes = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const yamuxFlags = { syn: 1, ack: 2, fin: 4, rst: 8 } as const

export interface YamuxHeader {
  readonly type: number
  readonly flag: number
  readonly streamID: number
  /** Of the payload; of other frames than data, what the frame says. */
  readonly length: number
}

/** Is given the payload of one frame piece by piece, each of it valid until it returns. */
export type TakePayload = (bytes: Uint8Array) => void

/**
 * Cuts a byte stream into yamux frames without keeping or copying any payload: a whole one would have to
 * be waited for, in as many pieces as TLS has records.
 */
export class YamuxReader {
  readonly #onHeader: (header: YamuxHeader) => TakePayload
  readonly #head = Buffer.alloc(yamuxHeadBytes)
  #headFilled = 0
  #payloadLeft = 0
  #take: TakePayload = () => {}

  /** `onHeader` says who takes the payload, if the frame has any; what it throws ends the connection. */
  constructor(onHeader: (header: YamuxHeader) => TakePayload) {
    this.#onHeader = onHeader
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(at + this.#payloadLeft, bytes.length)
        this.#payloadLeft -= end - at
        // A view of all of it would be garbage for each record.
        this.#take(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
        at = end
        continue
      }
      while (this.#headFilled < yamuxHeadBytes && at < bytes.length) {
        this.#head[this.#headFilled++] = bytes[at++] ?? 0
      }
      if (this.#headFilled < yamuxHeadBytes) return
      this.#headFilled = 0
      const header = decodeYamuxHead(this.#head)
      this.#take = this.#onHeader(header)
      this.#payloadLeft = header.type === yamuxTypes.data ? header.length : 0
    }
  }
}

function decodeYamuxHead(head: Buffer): YamuxHeader {
  if (head[0] !== 0) {
    throw new BootswarmError('ERR_PEER_PROTOCOL', `a peer speaks version ${head[0]} of yamux`)
  }
  return {
    type: head[1] ?? 0,
    flag: head.readUInt16BE(2),
    streamID: head.readUInt32BE(4),
    length: head.readUInt32BE(8)
  }
}

/** The head of a data frame without flags, at the beginning of `block`. */
export function writeYamuxDataHead(block: Buffer, streamID: number, length: number): void {
  block.writeUInt32BE(0, 0)
  block.writeUInt32BE(streamID, 4)
  block.writeUInt32BE(length, 8)
}
