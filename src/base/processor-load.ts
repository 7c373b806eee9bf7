import { readFileSync } from 'node:fs'
import type { Clock } from './contracts.ts'

export interface ProcessorTimes {
  /** What all but this process have had of the processors, in ms since some time ago. */
  readonly othersMs: number
  readonly processors: number
}

/** A shorter span would be measured in too few ticks. */
const spanMs = 500
/** Linux counts in hundredths of a second for programs, whatever it counts in itself (proc(5)). */
const tickMs = 10
/**
 * What others have of the one processor that this process would like for itself: more, and they want it. A
 * thread of theirs that always runs has a third of it beside two of ours.
 */
const contendedMin = 0.25

/** Whether others want the processors that this process could fill. */
export class ProcessorLoad {
  readonly #clock: Clock
  readonly #read: () => ProcessorTimes | undefined
  #span: { readonly at: number; readonly times: ProcessorTimes | undefined }
  #isContended = false

  /** `read` gives undefined where nobody can tell; then nobody wants them. */
  constructor(clock: Clock, read = readTimes) {
    this.#clock = clock
    this.#read = read
    this.#span = { at: clock.now(), times: read() }
  }

  /** What this process has used, all threads together, in ms. */
  get ownMs(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  }

  get isContended(): boolean {
    const now = this.#clock.now()
    const { at, times: before } = this.#span
    if (now - at < spanMs) return this.#isContended
    const times = this.#read()
    this.#span = { at: now, times }
    this.#isContended = false
    if (before === undefined || times === undefined) return false
    const others = (times.othersMs - before.othersMs) / (now - at)
    // With several processors others may fill all but one, and nobody is in anybody's way.
    this.#isContended = others > times.processors - 1 + contendedMin
    return this.#isContended
  }
}

/** user, nice and system time: not idle, interrupts (they may be ours), or what a host has taken. */
function readTimes(): ProcessorTimes | undefined {
  try {
    const lines = readFileSync('/proc/stat', 'latin1').split('\n')
    const [user = NaN, nice = NaN, system = NaN] = (lines[0] ?? '').split(/ +/).slice(1).map(Number)
    const own = process.cpuUsage()
    const othersMs = (user + nice + system) * tickMs - (own.user + own.system) / 1_000
    const processors = lines.filter(line => /^cpu\d/.test(line)).length
    return Number.isFinite(othersMs) ? { othersMs, processors } : undefined
  } catch {
    return undefined
  }
}
