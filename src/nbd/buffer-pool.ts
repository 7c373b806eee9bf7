const smallestBytes = 4096

/**
 * Memory for payloads, used again instead of being collected: with fresh memory
 * for each, large writes ran at half the speed (docs/nbd.md). Sizes are powers of two.
 */
export class BufferPool {
  readonly #idleBytesMax: number
  readonly #idle = new Map<number, ArrayBufferLike[]>()
  readonly #own = new WeakSet<ArrayBufferLike>()
  #idleBytes = 0

  constructor(idleBytesMax: number) {
    this.#idleBytesMax = idleBytesMax
  }

  /** Exactly `length` bytes, of whatever content. */
  take(length: number): Buffer {
    const size = sizeFor(length)
    const reused = this.#idle.get(size)?.pop()
    if (reused !== undefined) {
      this.#idleBytes -= size
      return Buffer.from(reused, 0, length)
    }
    const made = Buffer.allocUnsafeSlow(size)
    this.#own.add(made.buffer)
    return made.subarray(0, length)
  }

  isOwn({ buffer }: Uint8Array): boolean {
    return this.#own.has(buffer)
  }

  /** For bytes that nobody looks at any more. Those that did not come from here are left alone. */
  giveBack(bytes: Uint8Array): void {
    const { buffer } = bytes
    const size = buffer.byteLength
    if (!this.#own.has(buffer) || this.#idleBytes + size > this.#idleBytesMax) return
    const idle = this.#idle.get(size)
    if (idle === undefined) this.#idle.set(size, [buffer])
    else idle.push(buffer)
    this.#idleBytes += size
  }
}

function sizeFor(length: number): number {
  let size = smallestBytes
  while (size < length) size *= 2
  return size
}
