/** What a bucket that is full lets pass at once goes at this rate: ten gigabits a second. */
const lineBytesPerMs = 1_250_000

/** One direction of a shaped line: a token bucket, as `tc tbf` has, in front of a queue. */
export class Port {
  bytes = 0
  #bytesPerMs: number
  #burstMs: number
  /** When the bucket would be in balance; behind the present by at most what the bucket holds. */
  #balancedAt = -Infinity
  #freeAt = 0

  constructor(bytesPerMs: number, burstBytes: number) {
    this.#bytesPerMs = bytesPerMs
    this.#burstMs = burstBytes / bytesPerMs
  }

  get bytesPerMs(): number {
    return this.#bytesPerMs
  }

  /** When all that was handed to it is through. */
  get freeAt(): number {
    return this.#freeAt
  }

  /** When the last of `bytes` is through, the first of which is here at `start`. */
  pass(start: number, bytes: number): number {
    this.bytes += bytes
    const begin = Math.max(start, this.#freeAt)
    this.#balancedAt = Math.max(this.#balancedAt, begin - this.#burstMs) + bytes / this.#bytesPerMs
    this.#freeAt = Math.max(this.#balancedAt, begin + bytes / lineBytesPerMs)
    return this.#freeAt
  }
}
