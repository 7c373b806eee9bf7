import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../base/index.ts'

export interface RoomEvents {
  /** The target's file system is full: what arrives waits. Or there is room again. */
  onFull?(isFull: boolean): void
}

/** Chunks that have arrived and do not fit the target's file system, until there is room. */
export class RoomWait {
  readonly #events: RoomEvents
  readonly #signal: AbortSignal
  readonly #held = new Map<number, Uint8Array>()

  constructor(events: RoomEvents, signal: AbortSignal) {
    this.#events = events
    this.#signal = signal
  }

  /** The chunk's plain bytes, if it waits. */
  plain(position: number): Uint8Array | undefined {
    return this.#held.get(position)
  }

  /** False if too many wait already. */
  hold(position: number, plain: Uint8Array): boolean {
    if (this.#held.has(position)) return true
    if (this.#held.size >= limits.heldChunksMax) return false
    this.#held.set(position, plain)
    if (this.#held.size === 1) this.#events.onFull?.(true)
    return true
  }

  /** The chunk has its place, or is given up. */
  found(position: number): void {
    if (this.#held.delete(position) && this.#held.size === 0) this.#events.onFull?.(false)
  }

  /** Until it is worth another try; rejects when the disk is closed. */
  async wait(): Promise<void> {
    await sleep(limits.roomLookMs, undefined, { signal: this.#signal })
  }
}
