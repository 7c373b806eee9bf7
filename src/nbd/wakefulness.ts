import { availableParallelism } from 'node:os'
import { ProcessorLoad, systemClock } from '../base/index.ts'

/** Who asks again as soon as this, waking included, so many times in a row, is worth staying awake for. */
const soonMs = 0.1
const soonMin = 4
/** For how long after each request. QEMU's event loop does the same for at most 0.032 ms. */
const awakeMs = 0.05
/** So many more times in a row after it was of no use. */
const soonMoreMin = 32

/** Where the time and the next turn of the event loop come from, and whether one can be spared. */
export interface Turns {
  /** In ms. */
  now(): number
  next(look: () => void): void
  /** Others could use the processor. */
  areWanted(): boolean
}

const isAlone = availableParallelism() === 1
let load: ProcessorLoad | undefined

const ownTurns: Turns = {
  ...systemClock,
  next: look => void setImmediate(look),
  // A client on a machine with one processor needs it to ask.
  areWanted: () => isAlone || (load ??= new ProcessorLoad(systemClock)).isContended
}

/**
 * Keeps the event loop turning for some tens of microseconds after a client was heard who has been asking
 * again that soon: to fall asleep and be woken takes longer than to answer (docs/bench-nbd.md). Clients
 * that take their time are slept for, and so is all that they wait for: it may need the processor.
 */
export class Wakefulness {
  readonly #isAnswered: () => boolean
  readonly #turns: Turns
  #heardAt = -Infinity
  /** How many requests in a row came soon; below zero after it was of no use to stay awake. */
  #soon = 0
  #isAwake = false

  /** `isAnswered`: the client waits for nothing. */
  constructor(isAnswered: () => boolean, turns = ownTurns) {
    this.#isAnswered = isAnswered
    this.#turns = turns
  }

  /** The client has asked for something. */
  heard(): void {
    const now = this.#turns.now()
    const isSoon = now - this.#heardAt < soonMs
    this.#heardAt = now
    this.#soon = isSoon ? Math.min(this.#soon + 1, soonMin) : Math.min(this.#soon, 0)
    if (this.#isAwake || this.#soon < soonMin || this.#turns.areWanted()) return
    this.#isAwake = true
    this.#turns.next(this.#look)
  }

  readonly #look = (): void => {
    const isLate = this.#turns.now() - this.#heardAt > awakeMs
    if (isLate) this.#soon = -soonMoreMin
    this.#isAwake = !isLate && this.#isAnswered() && !this.#turns.areWanted()
    if (this.#isAwake) this.#turns.next(this.#look)
  }
}
