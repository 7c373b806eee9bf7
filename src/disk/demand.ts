/** Why a chunk is asked for: somebody reads, somebody writes part of a block, or it has to be put aside. */
export type NeedReason = 'read' | 'write' | 'aside'

export interface DemandEvents {
  /** Somebody now waits for the chunk, or (`aside`) it should come soon though nobody waits. */
  onNeed(position: number, why: NeedReason): void
  /** Nobody waits for the chunk any more, and it has not arrived. It may still be needed. */
  onNeedless(position: number): void
}

interface Waiter {
  readonly satisfied: () => boolean
  readonly resolve: () => void
  readonly reject: (reason: Error) => void
}

/** Who waits for which chunk. */
export class Demand {
  readonly #events: DemandEvents
  readonly #onWaiter: () => void
  readonly #waiters = new Map<number, Set<Waiter>>()
  #closed: Error | undefined

  /** `onWaiter`: somebody new waits, for what may be on its way already. */
  constructor(events: DemandEvents, onWaiter = (): void => {}) {
    this.#events = events
    this.#onWaiter = onWaiter
  }

  /** Resolves when `satisfied`, asked again at each `wake`; rejects with the signal's reason. */
  async wait(
    position: number,
    why: NeedReason,
    satisfied: () => boolean,
    signal?: AbortSignal
  ): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw this.#closed
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { satisfied, resolve, reject }
    const abandon = (): void => {
      this.#remove(position, waiter, false)
      reject(abortReason(signal))
    }
    signal?.addEventListener('abort', abandon, { once: true })
    const others = this.#waiters.get(position)
    if (others === undefined) this.#waiters.set(position, new Set([waiter]))
    else others.add(waiter)
    this.#onWaiter()
    if (others === undefined) this.#events.onNeed(position, why)
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', abandon)
    }
  }

  isAwaited(position: number): boolean {
    return this.#waiters.has(position)
  }

  /** Something of the chunk became present. `arrived`: all of it, so that nothing need be cancelled. */
  wake(position: number, arrived: boolean): void {
    for (const waiter of this.#waiters.get(position) ?? []) {
      if (!waiter.satisfied()) continue
      this.#remove(position, waiter, arrived)
      waiter.resolve()
    }
  }

  /** Who waits for the chunk need not wait any more: it cannot be had. */
  fail(position: number, reason: Error): void {
    for (const waiter of this.#waiters.get(position) ?? []) {
      this.#remove(position, waiter, true)
      waiter.reject(reason)
    }
  }

  close(reason: Error): void {
    this.#closed = reason
    for (const waiters of this.#waiters.values()) {
      for (const waiter of waiters) waiter.reject(reason)
    }
    this.#waiters.clear()
  }

  #remove(position: number, waiter: Waiter, arrived: boolean): void {
    const waiters = this.#waiters.get(position)
    if (waiters?.delete(waiter) !== true || waiters.size > 0) return
    this.#waiters.delete(position)
    if (!arrived) this.#events.onNeedless(position)
  }
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}
