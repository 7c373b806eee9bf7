/** Operations that have begun and not ended. */
export class UnderWay {
  #count = 0
  #idle: PromiseWithResolvers<void> | undefined

  async run<T>(job: () => Promise<T>): Promise<T> {
    this.begin()
    try {
      return await job()
    } finally {
      this.end()
    }
  }

  /** As `run`, for what has no promise; `end` is to be called at its end. */
  begin(): void {
    this.#count++
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    if (this.#count === 0) return
    this.#idle ??= Promise.withResolvers<void>()
    await this.#idle.promise
  }

  end(): void {
    if (--this.#count > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
