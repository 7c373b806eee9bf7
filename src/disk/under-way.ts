/** Operations that have begun and not ended. */
export class UnderWay {
  #count = 0
  #idle: PromiseWithResolvers<void> | undefined

  async run<T>(job: () => Promise<T>): Promise<T> {
    const end = this.begin()
    try {
      return await job()
    } finally {
      end()
    }
  }

  /** As `run`, for what has no promise; what it returns is to be called at the end. */
  begin(): () => void {
    this.#count++
    return this.#end
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    if (this.#count === 0) return
    this.#idle ??= Promise.withResolvers<void>()
    await this.#idle.promise
  }

  readonly #end = (): void => {
    if (--this.#count > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
