import { limits } from '../base/index.ts'

/**
 * How long a dial may take, for each peer. A seed that a whole room dials at once answers in its time: a
 * machine that gave up and came again after the same short while would be as late again, for ever, and so
 * each next try has twice as long. A peer that is dead is found out by the first.
 */
export class Patience {
  readonly #firstMs: number
  /** In the order in which they were last dialled in vain. */
  readonly #longer = new Map<string, number>()

  constructor(firstMs: number) {
    this.#firstMs = firstMs
  }

  /** Does what `signal` ends when the peer's time is over. */
  async within<T>(peer: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(this.ms(peer))
    try {
      const result = await work(signal)
      this.answered(peer)
      return result
    } catch (error) {
      if (signal.aborted) this.ended(peer)
      throw error
    }
  }

  ms(peer: string): number {
    return this.#longer.get(peer) ?? this.#firstMs
  }

  /** The time was not enough. */
  ended(peer: string): void {
    const doubled = Math.min(2 * this.ms(peer), limits.dialMsMax)
    this.#longer.delete(peer)
    this.#longer.set(peer, doubled)
    const [oldest] = this.#longer.keys()
    if (this.#longer.size > limits.peersKnownMax && oldest !== undefined)
      this.#longer.delete(oldest)
  }

  answered(peer: string): void {
    this.#longer.delete(peer)
  }
}
