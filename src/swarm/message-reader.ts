import { BootswarmError, limits } from '../base/index.ts'
import {
  decodeMessage,
  decodeSegmentHead,
  lengthBytes,
  segmentHeadBytes,
  type Message
} from './wire.ts'

/**
 * Cuts a byte stream into messages. Holds at most one unfinished message, which is bounded by
 * `limits.messageBytesMax`, and does no more work when it comes in many small pieces: strangers
 * decide in how many. The bytes inside a message may point into what was pushed; those of a segment
 * that is not whole yet are given as they come, as segments of their own: nearly every segment ends in
 * another read than it began in, and would else be copied twice.
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
  *push(bytes: Uint8Array): Generator<Message> {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#segmentLeft > 0) {
        const part = rest.subarray(0, this.#segmentLeft)
        this.#segmentLeft -= part.length
        rest = rest.subarray(part.length)
        yield { type: 'segment', request: this.#segmentRequest, bytes: part }
        continue
      }
      const whole = this.#headFilled === 0 ? wholeMessage(rest) : undefined
      if (whole !== undefined) {
        rest = rest.subarray(lengthBytes + whole.length)
        yield decodeMessage(whole)
        continue
      }
      const begun = this.#headFilled === 0 ? decodeSegmentHead(rest) : undefined
      if (begun !== undefined) {
        this.#segmentRequest = begun.request
        this.#segmentLeft = begun.length
        rest = rest.subarray(segmentHeadBytes)
        continue
      }
      rest = rest.subarray(this.#keep(rest))
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

/** The message that `bytes` begin with, if all of it is there: nearly always, and never copied. */
function wholeMessage(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < lengthBytes) return undefined
  const end = lengthBytes + checkedLength(bytes)
  return bytes.length < end ? undefined : bytes.subarray(lengthBytes, end)
}

function checkedLength(head: Uint8Array): number {
  const length = new DataView(head.buffer, head.byteOffset, lengthBytes).getUint32(0)
  if (length === 0 || length > limits.messageBytesMax) {
    throw new BootswarmError('ERR_PEER_PROTOCOL', `a peer announced a message of ${length} bytes`)
  }
  return length
}
