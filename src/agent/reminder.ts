/** When to say again what goes on: each time twice as long after the time before. */
export class Reminder {
  readonly #firstMs: number
  readonly #maxMs: number
  #everyMs: number
  #dueAt = -Infinity

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#everyMs = firstMs
  }

  /** Whether it is to be said now: the first time at once. */
  due(nowMs: number): boolean {
    if (nowMs < this.#dueAt) return false
    this.#dueAt = nowMs + this.#everyMs
    this.#everyMs = Math.min(this.#everyMs * 2, this.#maxMs)
    return true
  }

  /** It is no longer so. */
  over(): void {
    this.#dueAt = -Infinity
    this.#everyMs = this.#firstMs
  }
}
