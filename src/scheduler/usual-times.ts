const samplesKept = 64
/** Fewer say nothing of the slowest twentieth. */
const samplesEnough = 8

/** How long the last answers took. */
export class UsualTimes {
  #samples: number[] = []
  #next = 0

  add(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % samplesKept
  }

  /** 95 of a hundred took no longer; undefined while too few are known. */
  get p95Ms(): number | undefined {
    if (this.#samples.length < samplesEnough) return undefined
    const sorted = this.#samples.toSorted((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.95) - 1]
  }
}
