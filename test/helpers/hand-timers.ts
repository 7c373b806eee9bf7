import type { Timers } from '../../src/base/index.ts'

/** Time that passes when a test says so; what is due meanwhile runs in its order. */
export class HandTimers implements Timers {
  #now: number
  readonly #due = new Set<{ readonly at: number; readonly run: () => void }>()

  constructor(now = 0) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run }
    this.#due.add(timer)
    return () => this.#due.delete(timer)
  }

  pass(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#due].sort((one, other) => one.at - other.at)
      if (next === undefined || next.at > end) break
      this.#due.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = end
  }
}
