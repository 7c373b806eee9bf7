/** Background stands back while somebody waits and for this long after … */
const yieldMs = 300
/** … but one chunk in this time moves all the same, so that a busy machine completes too. */
const floorMs = 1_000
/** Who goes on reading longer than this is not booting: the background gets more, step by step, … */
const patientMs = 30_000
const risingMs = 30_000
/** … until it moves a chunk this often: a megabyte a second in default chunks, … */
const floorMsMin = 125
/** … or takes this share of a line that is slower. */
const lineShareMax = 0.2
const frameBytesUsual = 64 * 1024
/** Reads with no more than this between them go on without a break. */
const breakMs = 2_000

/** Whether a node has time for what nobody waits for; the same rule where it asks and where it sends. */
export class Yielding {
  #urgentAt = -Infinity
  #readingSince = -Infinity
  #begunAt = -Infinity

  /** Somebody waits. */
  urgent(now: number): void {
    if (now - this.#urgentAt > breakMs) this.#readingSince = now
    this.#urgentAt = now
  }

  /** Something that nobody waits for is under way. */
  began(now: number): void {
    this.#begunAt = now
  }

  /** There was a read a moment ago, and there may be another any moment. */
  mayRead(now: number): boolean {
    return now - this.#urgentAt < breakMs
  }

  /** Somebody waits or has just waited. */
  isReading(now: number): boolean {
    return now - this.#urgentAt < yieldMs
  }

  /** Nothing that nobody waits for may begin now. `lineBytesPerMs` is 0 while it is not known. */
  yields(now: number, lineBytesPerMs: number): boolean {
    if (!this.isReading(now)) return false
    const shareMs = frameBytesUsual / (lineShareMax * lineBytesPerMs)
    const everyMs = Math.min(floorMs, Math.max(shareMs, this.#floorMs(now)))
    return now - this.#begunAt < everyMs
  }

  #floorMs(now: number): number {
    const beyond = Math.max(0, now - this.#readingSince - patientMs)
    const risen = Math.min(1, beyond / risingMs)
    // The rate grows evenly, not the time between two chunks.
    return floorMs / (1 + risen * (floorMs / floorMsMin - 1))
  }
}
