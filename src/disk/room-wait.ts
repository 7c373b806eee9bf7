import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../base/index.ts'

export interface RoomEvents {
  /** The target's file system is full: what arrives waits. Or there is room again. */
  onFull?(isFull: boolean): void
}

interface Held {
  readonly plain: Uint8Array
  readonly dropping: AbortController
}

/** Chunks that have arrived and do not fit the target's file system, until there is room. */
export class RoomWait {
  readonly #events: RoomEvents
  readonly #signal: AbortSignal
  readonly #held = new Map<number, Held>()

  constructor(events: RoomEvents, signal: AbortSignal) {
    this.#events = events
    this.#signal = signal
  }

  /** Something waits. */
  get isFull(): boolean {
    return this.#held.size > 0
  }

  /** The chunk's plain bytes, if it waits. */
  plain(position: number): Uint8Array | undefined {
    return this.#held.get(position)?.plain
  }

  /** Where too many wait, the one that came first is dropped: whoever read it has read it by now. */
  hold(position: number, plain: Uint8Array): void {
    if (this.#held.has(position)) return
    for (const [first, { dropping }] of this.#held) {
      if (this.#held.size < limits.heldChunksMax) break
      this.#held.delete(first)
      dropping.abort()
    }
    this.#held.set(position, { plain, dropping: new AbortController() })
    if (this.#held.size === 1) this.#events.onFull?.(true)
  }

  /** The chunk has its place, or is given up. */
  found(position: number): void {
    if (this.#held.delete(position) && this.#held.size === 0) this.#events.onFull?.(false)
  }

  /** Until it is worth another try; false if the chunk was dropped. Rejects when the disk is closed. */
  async wait(position: number): Promise<boolean> {
    const dropped = this.#held.get(position)?.dropping.signal
    if (dropped === undefined) return false
    const signal = AbortSignal.any([this.#signal, dropped])
    try {
      await sleep(limits.roomLookMs, undefined, { signal })
    } catch (error) {
      if (this.#signal.aborted) throw error
    }
    return !dropped.aborted
  }
}
