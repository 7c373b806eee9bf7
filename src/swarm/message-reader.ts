import { BootswarmError, limits } from '../base/index.ts'
import {
  decodeMessage,
  decodeSegmentHead,
  lengthBytes,
  readU32,
  segmentHeadBytes,
  type WireMessage
} from './wire.ts'

/**
 * Cuts a byte stream into messages. Holds at most one unfinished message, which is bounded by
 * `limits.messageBytesMax`, and does no more work when it comes in many small pieces: strangers
 * decide in how many. Those of a segment point into what was pushed, which may be overwritten later; one
 * that is not whole yet is given as it comes, as segments of its own: nearly every segment ends in another
 * read than it began in, and would else be copied twice. What other messages hold is theirs.
 */
export class MessageReader {
  #head = Buffer.alloc(lengthBytes)
  #headFilled = 0
  /** The message that has begun without its length, once that is known. */
  #body: Buffer | undefined
  #bodyFilled = 0
  #segmentRequest = 0
  /** Bytes of a segment that has begun and are still to come. */
  #segmentLeft = 0;

  /** Throws ERR_PEER_PROTOCOL; the stream is of no use afterwards. */
  *push(bytes: Uint8Array): Generator<WireMessage> {
    let at = 0
    while (at < bytes.length) {
      if (this.#segmentLeft > 0) {
        const part = partOf(bytes, at, at + this.#segmentLeft)
        this.#segmentLeft -= part.length
        at += part.length
        yield { type: 'segment', request: this.#segmentRequest, bytes: part }
        continue
      }
      const begun = this.#headFilled === 0 ? decodeSegmentHead(bytes, at) : undefined
      if (begun !== undefined) {
        this.#segmentRequest = begun.request
        this.#segmentLeft = begun.length
        at += segmentHeadBytes
        continue
      }
      const end = this.#headFilled === 0 ? endOfMessage(bytes, at) : undefined
      if (end !== undefined) {
        const whole = bytes.subarray(at + lengthBytes, end)
        at = end
        yield decodeMessage(Buffer.from(whole))
        continue
      }
      at += this.#keep(bytes.subarray(at))
      const body = this.#body
      if (body === undefined || this.#bodyFilled < body.length) continue
      this.#headFilled = 0
      this.#body = undefined
      yield decodeMessage(body)
    }
  }

  /** Copies what belongs to the unfinished message, its length first; returns how much that was. */
  #keep(bytes: Uint8Array): number {
    if (this.#body === undefined) {
      const taken = bytes.subarray(0, lengthBytes - this.#headFilled)
      this.#head.set(taken, this.#headFilled)
      this.#headFilled += taken.length
      if (this.#headFilled === lengthBytes) {
        this.#body = Buffer.allocUnsafeSlow(checkedLength(this.#head))
        this.#bodyFilled = 0
      }
      return taken.length
    }
    const taken = bytes.subarray(0, this.#body.length - this.#bodyFilled)
    this.#body.set(taken, this.#bodyFilled)
    this.#bodyFilled += taken.length
    return taken.length
  }
}

/** Where the message that begins at `at` ends, if all of it is there: nearly always, and never copied. */
function endOfMessage(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length < at + lengthBytes) return undefined
  const end = at + lengthBytes + checkedLength(bytes, at)
  return bytes.length < end ? undefined : end
}

function checkedLength(head: Uint8Array, at = 0): number {
  const length = readU32(head, at)
  if (length === 0 || length > limits.messageBytesMax) {
    throw new BootswarmError('ERR_PEER_PROTOCOL', `a peer announced a message of ${length} bytes`)
  }
  return length
}

/** As `subarray`, which makes garbage also where it gives back all of it. */
function partOf(bytes: Uint8Array, at: number, end: number): Uint8Array {
  return at === 0 && end >= bytes.length ? bytes : bytes.subarray(at, end)
}
