const setbackMs = 1_000
const setbackMsMax = 60_000

/** After a failure one is left alone for a while, and for twice as long after each more in a row. */
export class Setback {
  /** Until then it is left alone. */
  until = -Infinity
  /** Failures in a row. */
  times = 0

  failed(now: number): void {
    // What fails together is one failure.
    if (now < this.until) return
    this.until = now + Math.min(setbackMsMax, setbackMs * 2 ** this.times)
    this.times += 1
  }

  succeeded(): void {
    this.until = -Infinity
    this.times = 0
  }
}
