/** A machine that has flushed after each of so many writes is expected to do so again. */
const alikeMin = 8

/**
 * The machine's flushes. One that waits for each of its writes to be flushed gets that begun as soon as the
 * write is answered: it is half done when the machine, told of the write, asks for it. At the first write that
 * something else follows this ends, with one flush that nobody wanted.
 */
export class FlushAhead {
  readonly #flush: () => Promise<void>
  /** Since the machine last flushed. */
  #writes = 0
  /** Flushes in a row that came after a single write. */
  #alike = 0
  /** Covers every write so far. */
  #ahead: Promise<void> | undefined

  constructor(flush: () => Promise<void>) {
    this.#flush = flush
  }

  /** A write is done, and about to be answered. */
  written(): void {
    this.#writes++
    this.#ahead = undefined
    if (this.#writes > 1) this.#alike = 0
    if (this.#alike < alikeMin) return
    process.nextTick(() => {
      // Neither flushed meanwhile nor written again.
      if (this.#writes !== 1 || this.#ahead !== undefined) return
      this.#ahead = this.#flush()
      // If nobody asks for it, the next one fails as well.
      this.#ahead.catch(() => {})
    })
  }

  flush(): Promise<void> {
    const ahead = this.#ahead
    this.#alike = this.#writes === 1 ? this.#alike + 1 : 0
    this.#writes = 0
    this.#ahead = undefined
    return ahead ?? this.#flush()
  }
}
