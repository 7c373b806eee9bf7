/**
 * Bytes that have arrived in pieces and are taken in other pieces. What lies within one arrived piece
 * is handed out as a view; only what spans pieces is copied, once.
 */
export class ByteQueue {
  readonly #pieces: Buffer[] = []
  /** How much of the first piece has been handed out. */
  #used = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#length += piece.length
  }

  /** What is left of the piece that was pushed last gets memory of its own: its giver uses that again. */
  keep(): void {
    const last = this.#pieces.length - 1
    const piece = this.#pieces[last]
    if (piece === undefined) return
    this.#pieces[last] = Buffer.from(last === 0 ? piece.subarray(this.#used) : piece)
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
    this.#used = 0
  }
}
