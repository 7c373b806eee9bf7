import { Setback } from './setback.ts'

/**
 * Peers that others were sent to in vain: one that has died, or says that it has what it never sends.
 * It is not named for a while, until somebody gets a chunk from it.
 */
export class Failing {
  #setbacks = new Map<string, Setback>()

  failed(peer: string, now: number): void {
    const setback = this.#setbacks.get(peer) ?? new Setback()
    this.#setbacks.set(peer, setback)
    setback.failed(now)
  }

  delivered(peer: string): void {
    this.#setbacks.delete(peer)
  }

  isFailing(peer: string, now: number): boolean {
    return now < (this.#setbacks.get(peer)?.until ?? -Infinity)
  }
}
