/** How long what was saved up by silence may go out at once. */
const burstMs = 50

/**
 * So many bytes a second and no more, over any second: what passes too early is a debt that time pays
 * off. A debt and not a refusal, since bytes come in pieces that cannot be cut.
 */
export class RateLimit {
  readonly #bytesPerMs: number
  /** Below 0 it is a debt. */
  #saved = 0
  #countedAt: number | undefined

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  passed(bytes: number, now: number): void {
    this.#count(now)
    this.#saved -= bytes
  }

  /** Until when nothing more may pass, in ms from now; 0 when it may. */
  waitMs(now: number): number {
    this.#count(now)
    return this.#saved >= 0 ? 0 : -this.#saved / this.#bytesPerMs
  }

  #count(now: number): void {
    const ms = now - (this.#countedAt ?? now)
    this.#countedAt = now
    this.#saved = Math.min(this.#saved + ms * this.#bytesPerMs, burstMs * this.#bytesPerMs)
  }
}

/** Undefined where no rate is set. */
export function rateLimit(bytesPerSecond: number | undefined): RateLimit | undefined {
  return bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond)
}

/** A rate limit, if there is one, and the waiting for it: for who sends by himself and can be asked to go on. */
export class Pace {
  readonly #limit: RateLimit | undefined
  #waking: NodeJS.Timeout | undefined

  constructor(bytesPerSecond: number | undefined) {
    this.#limit = rateLimit(bytesPerSecond)
  }

  passed(bytes: number, now: number): void {
    this.#limit?.passed(bytes, now)
  }

  /** True when nothing may pass yet; `goOn` is then called, once, when it may. */
  holdsBack(now: number, goOn: () => void): boolean {
    const waitMs = this.#limit?.waitMs(now) ?? 0
    if (waitMs === 0) return false
    this.#waking ??= setTimeout(() => {
      this.#waking = undefined
      goOn()
    }, waitMs).unref()
    return true
  }
}
