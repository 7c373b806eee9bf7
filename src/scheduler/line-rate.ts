/** The rate is measured over spans of at least this, and forgotten slowly. */
const spanMs = 100
const rateKept = 0.97
/** With nothing on its way for this long the line was idle; the slowest line brings a segment sooner. */
const idleMs = 500

/** How quick a line is, by what went over it while it was busy. */
export class LineRate {
  bytesPerMs = 0
  #spanBytes = 0
  #spanFrom = 0
  #lastAt = -Infinity

  moved(bytes: number, now: number): void {
    if (now - this.#lastAt > idleMs) {
      this.#spanFrom = now
      this.#spanBytes = 0
    }
    this.#lastAt = now
    this.#spanBytes += bytes
    const span = now - this.#spanFrom
    if (span < spanMs) return
    this.bytesPerMs = Math.max(this.bytesPerMs * rateKept, this.#spanBytes / span)
    this.#spanFrom = now
    this.#spanBytes = 0
  }
}
