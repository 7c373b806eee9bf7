/** The rate is measured over spans of at least this. */
const spanMs = 100
/** With nothing on its way for this long the line was idle; the slowest line brings a segment sooner. */
const idleMs = 500

/** How quick a line is, by what went over it while it was busy. */
export class LineRate {
  bytesPerMs = 0
  #kept: number
  #spanBytes = 0
  #spanFrom = 0
  #lastAt = -Infinity

  /** `kept`: what is left of the rate after each span that was slower; it is forgotten slowly. */
  constructor(kept: number) {
    this.#kept = kept
  }

  /** The line was idle until now: from here on its time counts. */
  began(now: number): void {
    this.#spanFrom = now
    this.#spanBytes = 0
  }

  /** For a line that one only sees bytes come out of: it was idle when none came for a while. */
  moved(bytes: number, now: number): void {
    if (now - this.#lastAt > idleMs) this.began(now)
    this.#lastAt = now
    this.count(bytes, now)
  }

  count(bytes: number, now: number): void {
    this.#spanBytes += bytes
    const span = now - this.#spanFrom
    if (span < spanMs) return
    this.bytesPerMs = Math.max(this.bytesPerMs * this.#kept, this.#spanBytes / span)
    this.began(now)
  }
}
