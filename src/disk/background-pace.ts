import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../base/index.ts'
import type { Clock } from '../base/index.ts'

/** What the machine does with its disk just now. */
export class MachineIo {
  readonly #clock: Clock
  readonly #startedAt = new Set<{ readonly at: number }>()
  #lastAt = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    const start = { at: this.#clock.now() }
    this.#startedAt.add(start)
    try {
      return await job()
    } finally {
      this.#startedAt.delete(start)
      this.#lastAt = this.#clock.now()
    }
  }

  /** As `run`, for what has no promise; what it returns is to be called at the end. */
  begin(): () => void {
    const start = { at: this.#clock.now() }
    this.#startedAt.add(start)
    return () => {
      this.#startedAt.delete(start)
      this.#lastAt = this.#clock.now()
    }
  }

  /** The machine was answered at once. */
  touched(): void {
    this.#lastAt = this.#clock.now()
  }

  /** For how long the disk has owed the machine an answer, in ms; 0 when it owes none. */
  get waitingMs(): number {
    for (const { at } of this.#startedAt) return this.#clock.now() - at
    return 0
  }

  /** Since the last of it, in ms; 0 while some is under way. */
  get idleMs(): number {
    return this.#startedAt.size > 0 ? 0 : this.#clock.now() - this.#lastAt
  }
}

export interface BackgroundRates {
  /** Bytes a second at the most; as many as can be by default. */
  readonly rate?: number
  /** Bytes a second however busy the machine is, if `rate` allows them; `limits.backgroundFloorBytes` by default. */
  readonly floor?: number
}

/**
 * How fast the background may use the disk: as fast as the user allows while the machine leaves it
 * alone, less while the machine uses it, and no more than the floor while the machine waits for it.
 */
export class BackgroundPace {
  readonly #clock: Clock
  readonly #io: MachineIo
  readonly #bytesPerSecond: number
  readonly #floor: number
  /** When what was let through is over, at the rate that was allowed then. */
  #freeAt = -Infinity

  constructor(clock: Clock, io: MachineIo, { rate = Infinity, floor }: BackgroundRates = {}) {
    this.#clock = clock
    this.#io = io
    this.#bytesPerSecond = rate
    this.#floor = floor ?? limits.backgroundFloorBytes
  }

  /** Resolves when so many bytes may be read or written, or `isUrgent`; rejects when aborted. */
  async turn(bytes: number, signal?: AbortSignal, isUrgent = (): boolean => false): Promise<void> {
    for (let waitMs = this.#waitMs(); waitMs > 0 && !isUrgent();) {
      await sleep(Math.min(waitMs, lookMs), undefined, { signal })
      waitMs = this.#waitMs()
    }
    signal?.throwIfAborted()
    const rate = this.#rate()
    const takesMs = rate === Infinity ? 0 : (bytes / rate) * 1_000
    this.#freeAt = Math.max(this.#freeAt, this.#clock.now()) + takesMs
  }

  #waitMs(): number {
    return this.#freeAt - this.#clock.now()
  }

  #rate(): number {
    const { waitingMs, idleMs } = this.#io
    const allowed = this.#bytesPerSecond
    if (waitingMs > limits.machineWaitsMs) return Math.min(allowed, this.#floor)
    const busy = Math.max(this.#floor, limits.backgroundBusyBytes)
    if (idleMs < limits.machineBusyMs) return Math.min(allowed, busy)
    return allowed
  }
}

/** So soon it is noticed that somebody waits for a chunk after all. */
const lookMs = 10
