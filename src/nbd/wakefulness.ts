import { availableParallelism } from 'node:os'
import { ProcessorLoad, systemClock } from '../base/index.ts'

/** What is waited for: the client to ask for something, or the device to do it. */
type Side = 'client' | 'device'

/** Who is as quick as this, waking included, is worth staying awake for, in ms. */
const quickMs: Readonly<Record<Side, number>> = { client: 0.1, device: 0.8 }
/** So many times in a row. */
const quickMin = 4
/** So many more times in a row after a client was waited for in vain. */
const quickMoreMin = 32

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
 * Keeps the event loop turning for some tenths of a millisecond at most while a client and its device do one thing
 * after the other, each at once: to fall asleep and be woken takes as long as what is waited for (docs/bench-nbd.md). Clients
 * that take their time are slept for, slow devices too, and what goes on side by side: it may need the processor.
 */
export class Wakefulness {
  readonly #underWay: () => number
  readonly #turns: Turns
  /** When somebody was last heard. */
  #at = -Infinity
  /** How many times in a row somebody was quick; below zero after a client was waited for in vain. */
  #quick = 0
  #isAwake = false

  /** `underWay`: how much of what the client has asked for is not answered. */
  constructor(underWay: () => number, turns = ownTurns) {
    this.#underWay = underWay
    this.#turns = turns
  }

  /** The client asks for something. */
  heard(): void {
    if (this.#underWay() === 0) this.#count('client')
  }

  /** The device has done something. */
  answered(): void {
    if (this.#underWay() === 0) this.#count('device')
  }

  #count(side: Side): void {
    const now = this.#turns.now()
    const isQuick = now - this.#at < quickMs[side]
    this.#at = now
    this.#quick = isQuick ? Math.min(this.#quick + 1, quickMin) : Math.min(this.#quick, 0)
    if (this.#isAwake || this.#quick < quickMin || this.#turns.areWanted()) return
    this.#isAwake = true
    this.#turns.next(this.#look)
  }

  readonly #look = (): void => {
    const underWay = this.#underWay()
    const side = underWay === 0 ? 'client' : 'device'
    const isLate = this.#turns.now() - this.#at > quickMs[side]
    // A disk takes longer now and then, and is as quick again; a client has something else to do.
    if (isLate && side === 'client') this.#quick = -quickMoreMin
    this.#isAwake = !isLate && underWay <= 1 && !this.#turns.areWanted()
    if (this.#isAwake) this.#turns.next(this.#look)
  }
}
