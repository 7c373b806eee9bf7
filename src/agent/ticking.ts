import { tickMs } from '../scheduler/index.ts'

/** Tells the scheduler that time has passed: every `tickMs`, and once more when it asks for that. */
export class Ticking {
  #tick: () => void
  #every: NodeJS.Timeout
  #once: NodeJS.Timeout | undefined

  constructor(tick: () => void) {
    this.#tick = tick
    this.#every = setInterval(tick, tickMs)
  }

  /** Replaces what was to come after another time. */
  after(ms: number): void {
    clearTimeout(this.#once)
    this.#once = setTimeout(this.#tick, ms)
  }

  stop(): void {
    clearInterval(this.#every)
    clearTimeout(this.#once)
  }
}
