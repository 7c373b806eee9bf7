import { limits } from '../base/index.ts'
import type { Clock, Timers } from '../base/index.ts'

interface MachineRequest {
  readonly at: number
}

/** What the machine does with its disk just now. */
export class MachineIo {
  readonly #clock: Clock
  readonly #startedAt = new Set<MachineRequest>()
  #lastAt = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    const start = this.begin()
    try {
      return await job()
    } finally {
      this.end(start)
    }
  }

  /** As `run`, for what has no promise; `end` is to be called with what it returns. */
  begin(): MachineRequest {
    const start = { at: this.#clock.now() }
    this.#startedAt.add(start)
    return start
  }

  end(start: MachineRequest): void {
    this.#startedAt.delete(start)
    this.#lastAt = this.#clock.now()
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

interface Waiter {
  readonly bytes: number
  readonly isUrgent: () => boolean
  readonly resolve: () => void
}

/** What this process has of the processors, and whether others want them; `ProcessorLoad` is it. */
export interface Processor {
  readonly ownMs: number
  readonly isContended: boolean
}

/**
 * How fast the background may use the disk: as fast as the user allows while the machine leaves it
 * alone, less while the machine uses it, and no more than the floor while the machine waits for it. Also, a
 * chunk costs processor time before it gets here: while the machine wants that too, this process takes a
 * share of it only. However busy the machine is, the floor remains.
 */
export class BackgroundPace {
  readonly #timers: Timers
  readonly #io: MachineIo
  readonly #bytesPerSecond: number
  readonly #floor: number
  readonly #processor: Processor | undefined
  #usedMs = 0
  #lastTurnAt = 0
  #sharedAt = -Infinity
  /** When what was let through is over, at the rate that was allowed then. */
  #freeAt = -Infinity
  /** Whoever came first is first. */
  readonly #line = new Set<Waiter>()
  #cancelTimer: (() => void) | undefined

  constructor(
    timers: Timers,
    io: MachineIo,
    { rate = Infinity, floor }: BackgroundRates = {},
    processor?: Processor
  ) {
    this.#processor = processor
    this.#timers = timers
    this.#io = io
    this.#bytesPerSecond = rate
    this.#floor = floor ?? limits.backgroundFloorBytes
  }

  /** Resolves when so many bytes may be read or written, or `isUrgent`; rejects when aborted. */
  async turn(bytes: number, signal?: AbortSignal, isUrgent = (): boolean => false): Promise<void> {
    signal?.throwIfAborted()
    if (isUrgent() || (this.#line.size === 0 && this.#waitMs() <= 0)) {
      this.#take(bytes)
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { bytes, isUrgent, resolve }
    const leave = (): void => {
      if (this.#line.delete(waiter)) reject(signal?.reason as Error)
    }
    signal?.addEventListener('abort', leave, { once: true })
    this.#line.add(waiter)
    this.#arm()
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  /** What somebody has come to wait for goes at once. */
  hurry(): void {
    for (const waiter of this.#line) if (waiter.isUrgent()) this.#let(waiter)
  }

  /** One timer for the whole line: looking at each of them now and then was half of a slow processor's work. */
  #arm(): void {
    if (this.#line.size === 0 || this.#cancelTimer !== undefined) return
    this.#cancelTimer = this.#timers.after(Math.max(0, this.#waitMs()), () => {
      this.#cancelTimer = undefined
      if (this.#waitMs() <= 0) this.#letSome()
      this.#arm()
    })
  }

  /** What comes between two flushes of the machine makes the second one longer: better one of them than all. */
  #letSome(): void {
    let room = this.#isShared ? limits.backgroundBurstBytes : 1
    for (const waiter of this.#line) {
      if (room <= 0) return
      this.#let(waiter)
      room -= waiter.bytes
    }
  }

  #let(waiter: Waiter): void {
    this.#line.delete(waiter)
    this.#take(waiter.bytes)
    waiter.resolve()
  }

  #take(bytes: number): void {
    const now = this.#timers.now()
    const rate = this.#rate()
    const takesMs = rate === Infinity ? 0 : (bytes / rate) * 1_000
    this.#sharedAt = Math.min(this.#shareAt(), now + (bytes / this.#floor) * 1_000)
    this.#freeAt = Math.max(Math.max(this.#freeAt, now) + takesMs, this.#sharedAt)
    this.#lastTurnAt = now
  }

  /** When what has been used of the processor is no more than its share. */
  #shareAt(): number {
    const processor = this.#processor
    if (processor === undefined) return -Infinity
    const usedMs = processor.ownMs - this.#usedMs
    this.#usedMs += usedMs
    if (!processor.isContended) return -Infinity
    return Math.max(this.#sharedAt, this.#lastTurnAt) + usedMs / limits.backgroundProcessorShare
  }

  #waitMs(): number {
    return this.#freeAt - this.#timers.now()
  }

  /** The machine uses its disk, and does not wait for it. */
  get #isShared(): boolean {
    const { waitingMs, idleMs } = this.#io
    return idleMs < limits.machineBusyMs && waitingMs <= limits.machineWaitsMs
  }

  #rate(): number {
    const allowed = this.#bytesPerSecond
    if (this.#io.waitingMs > limits.machineWaitsMs) return Math.min(allowed, this.#floor)
    if (!this.#isShared) return allowed
    return Math.min(allowed, Math.max(this.#floor, limits.backgroundBusyBytes))
  }
}
