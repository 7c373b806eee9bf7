import { BootswarmError, limits } from '../base/index.ts'
import { decodeMessage, lengthBytes, type Message } from './wire.ts'

/**
 * Cuts a byte stream into messages. Holds at most one unfinished message, which is bounded by
 * `limits.messageBytesMax`. The bytes inside a message may point into what was pushed.
 */
export class MessageReader {
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  /** Bytes of the unfinished message with its length, once that is known. */
  #awaited: number | undefined;

  /** Throws ERR_PEER_PROTOCOL; the stream is of no use afterwards. */
  *push(bytes: Uint8Array): Generator<Message> {
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
    for (;;) {
      if (this.#awaited === undefined) {
        if (this.#pendingBytes < lengthBytes) return
        this.#awaited = lengthBytes + this.#readLength()
      }
      if (this.#pendingBytes < this.#awaited) return
      const whole = this.#take(this.#awaited)
      this.#awaited = undefined
      yield decodeMessage(whole.subarray(lengthBytes))
    }
  }

  #readLength(): number {
    const head = this.#join(lengthBytes)
    const length = head.readUInt32BE(0)
    if (length === 0 || length > limits.messageBytesMax) {
      throw new BootswarmError('ERR_PEER_PROTOCOL', `a peer announced a message of ${length} bytes`)
    }
    return length
  }

  #take(length: number): Uint8Array {
    const joined = this.#join(length)
    const rest = joined.subarray(length)
    this.#pending[0] = rest
    if (rest.length === 0) this.#pending.shift()
    this.#pendingBytes -= length
    return joined.subarray(0, length)
  }

  /** Makes the first pending piece at least `length` bytes long, copying only what is in pieces. */
  #join(length: number): Buffer {
    const first = this.#pending[0] ?? new Uint8Array()
    if (first.length >= length) {
      return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
    }
    const joined = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const piece = this.#pending.shift() ?? new Uint8Array()
      const taken = piece.subarray(0, length - filled)
      joined.set(taken, filled)
      filled += taken.length
      if (taken.length < piece.length) this.#pending.unshift(piece.subarray(taken.length))
    }
    this.#pending.unshift(joined)
    return joined
  }
}
