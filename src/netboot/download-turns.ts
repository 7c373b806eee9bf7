/** So many at a time; the others wait for their turn, in order, and only so many of them. */
export class DownloadTurns {
  readonly #atOnce: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(atOnce: number, waitingMax: number) {
    this.#atOnce = atOnce
    this.#waitingMax = waitingMax
  }

  /** Resolves when it is one's turn, to what ends it; at once to undefined when too many wait. */
  async enter(): Promise<(() => void) | undefined> {
    if (this.#busy >= this.#atOnce) {
      if (this.#waiting.length >= this.#waitingMax) return undefined
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#busy += 1
    return () => this.#leave()
  }

  /** The place is handed on, so that nobody who has just come gets it. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#busy -= 1
    else next()
  }
}
