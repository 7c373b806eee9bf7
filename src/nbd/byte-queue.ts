/**
 * Bytes that have arrived in pieces and are taken in other pieces. What lies within one arrived piece
 * is handed out as a view; only what spans pieces is copied, once.
 */
export class ByteQueue {
  readonly #pieces: Buffer[] = []
  /** The last piece is somebody else's memory. */
  #borrows = false
  /** How much of the first piece has been handed out. */
  #used = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return
    this.keep()
    this.#pieces.push(piece)
    this.#length += piece.length
  }

  /**
   * As `push`, of memory that is used for something else afterwards: `keep` is to be called before that,
   * and nobody may look any more then at what was handed out of the piece.
   */
  lend(piece: Buffer): void {
    this.push(piece)
    this.#borrows = piece.length > 0
  }

  /** What is left of a piece that was lent is copied. */
  keep(): void {
    if (!this.#borrows) return
    this.#borrows = false
    const last = this.#pieces.length - 1
    const piece = this.#pieces[last]
    if (piece === undefined) return
    const start = last === 0 ? this.#used : 0
    this.#pieces[last] = Buffer.from(piece.subarray(start))
    if (last === 0) this.#used = 0
  }

  /** Undefined until `length` bytes are here. */
  take(length: number): Buffer | undefined {
    if (length > this.#length) return undefined
    const whole = this.takeWhole(length)
    if (whole !== undefined) return whole
    const bytes = Buffer.allocUnsafe(length)
    this.drainInto(bytes, 0)
    return bytes
  }

  /** What `decode` makes of the next `length` bytes, which lie in `bytes` from `at` on; those have to be here. */
  decode<T>(length: number, decode: (bytes: Buffer, at: number) => T): T | undefined {
    const piece = this.#pieces[0]
    if (piece === undefined || this.#used + length > piece.length) {
      const bytes = this.take(length)
      return bytes && decode(bytes, 0)
    }
    const decoded = decode(piece, this.#used)
    this.#advance(length)
    return decoded
  }

  /** Undefined unless the next `length` bytes lie in one piece, so that no copy is needed. */
  takeWhole(length: number): Buffer | undefined {
    const piece = this.#pieces[0]
    if (piece === undefined) return length === 0 ? Buffer.alloc(0) : undefined
    if (this.#used + length > piece.length) return undefined
    const bytes = piece.subarray(this.#used, this.#used + length)
    this.#advance(length)
    return bytes
  }

  /** Copies what there is into `target` from `at` on, at most to its end; returns how much. */
  drainInto(target: Buffer, at: number): number {
    let filled = at
    while (filled < target.length) {
      const piece = this.#pieces[0]
      if (piece === undefined) break
      const copied = piece.copy(target, filled, this.#used)
      this.#advance(copied)
      filled += copied
    }
    return filled - at
  }

  /** Drops at most `length` bytes; returns how many. */
  skip(length: number): number {
    let left = Math.min(length, this.#length)
    const skipped = left
    while (left > 0) {
      const piece = this.#pieces[0]
      if (piece === undefined) break
      const step = Math.min(left, piece.length - this.#used)
      this.#advance(step)
      left -= step
    }
    return skipped
  }

  #advance(length: number): void {
    this.#used += length
    this.#length -= length
    if (this.#used < (this.#pieces[0]?.length ?? 0)) return
    this.#pieces.shift()
    if (this.#pieces.length === 0) this.#borrows = false
    this.#used = 0
  }
}
