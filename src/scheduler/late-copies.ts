/** Of what a seed sends, this share may be copies that it sends only because somebody was late … */
const share = 0.1
/** … and this many a second in any case, so that nobody is left waiting by a seed that sends little. */
const perSecondMin = 4
/** Saved up while nobody is late. */
const savedMax = 8

/**
 * How many chunks a seed may send that it has sent already. Without such a bound late reads cause
 * copies, which cause late reads, and a large lab never finishes (research/swarm-simulation.md).
 */
export class LateCopies {
  #saved = savedMax
  #countedAt = 0

  /** A whole chunk has gone out, late or not. */
  sent(): void {
    this.#saved = Math.min(savedMax, this.#saved + share)
  }

  /** False when there is no room for one more now. */
  take(now: number): boolean {
    const earned = ((now - this.#countedAt) * perSecondMin) / 1_000
    this.#saved = Math.min(savedMax, this.#saved + Math.max(0, earned))
    this.#countedAt = now
    if (this.#saved < 1) return false
    this.#saved -= 1
    return true
  }
}
