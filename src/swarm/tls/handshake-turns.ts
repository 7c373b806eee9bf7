import { setTimeout as sleep } from 'node:timers/promises'
import { Queue } from '@libp2p/utils'
import { limits } from '../../base/index.ts'

/**
 * Lets a few handshakes be made at a time. When a lab powers on, hundreds dial the same seed at once;
 * all together they would all be done at the same late moment, and until then nobody would get a
 * byte. One after the other, the first have worked for seconds when the last come.
 */
export class HandshakeTurns {
  #queue = new Queue<void>({ concurrency: limits.handshakesParallel })
  #turnMs: number

  constructor(turnMs: number = limits.handshakeTurnMs) {
    this.#turnMs = turnMs
  }

  /** Rejects with the signal's reason when that comes before the turn. */
  async take<T>(handshake: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const turn = Promise.withResolvers<void>()
    const done = new AbortController()
    const inTurn = async (): Promise<void> => {
      turn.resolve()
      // Who falls silent in the middle holds up the others no longer than this.
      await sleep(this.#turnMs, undefined, { signal: done.signal }).catch(() => {
        // The handshake is done.
      })
    }
    this.#queue.add(inTurn, { signal }).catch(turn.reject)
    await turn.promise
    try {
      return await handshake()
    } finally {
      done.abort()
    }
  }
}
