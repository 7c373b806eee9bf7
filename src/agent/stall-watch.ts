import { limits, secondsUp, type Clock } from '../base/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import { Reminder } from './reminder.ts'

export interface StallLook {
  /** Chunks that are not here. */
  readonly missing: number
  /** Payload that came since the start. */
  readonly bytesReceived: number
  /** Seeds and agents connected now. */
  readonly peers: number
}

const saidMsMax = 600_000

/**
 * Notices that nothing comes of what is missing though peers are here, which nobody need be waiting
 * for, and what they answer when they are asked.
 */
export class StallWatch {
  readonly #clock: Clock
  readonly #reminder = new Reminder(limits.stalledMs, saidMsMax)
  #movedAt: number
  #state = ''
  #answers = new Set<string>()
  #isFull = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#movedAt = clock.now()
  }

  /** Something is on its way. */
  moved(): void {
    this.#movedAt = this.#clock.now()
    this.#answers.clear()
    this.#reminder.over()
  }

  /** A peer has said why it does not send a chunk, or what it sent was wrong. */
  refused(reason: string): void {
    this.#answers.add(reason)
  }

  /** While the target's file system is full nothing is missing but room there; says so. */
  full(isFull: boolean): AgentEvent {
    this.#isFull = isFull
    this.moved()
    return { event: isFull ? 'full' : 'room', seconds: secondsUp() }
  }

  /** To be called every second or so; what there is to say, if anything. */
  look({ missing, bytesReceived, peers }: StallLook): AgentEvent | undefined {
    const state = `${missing} ${bytesReceived}`
    if (state !== this.#state || missing === 0 || peers === 0 || this.#isFull) this.moved()
    this.#state = state
    const now = this.#clock.now()
    if (now - this.#movedAt < limits.stalledMs || !this.#reminder.due(now)) return undefined
    const answers = [...this.#answers].sort()
    return { event: 'stalled', seconds: secondsUp(), chunks: missing, answers }
  }
}
