import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host, Network, Traffic } from './network.ts'
import { trafficOf } from './network.ts'
import type { ContenderName, LabOptions, Workload } from './options.ts'
import { LabProcess, type StartOptions } from './processes.ts'
import { processorShares, processorTimes, processTimes, type ProcessorTimes } from './processors.ts'
import { rounded, sum } from './statistics.ts'
import type { Subject } from './subject.ts'

/** One contender with one workload on so many machines, in a network of its own. */
export interface Run {
  readonly contender: ContenderName
  readonly workload: Workload
  readonly network: Network
  /** The machines whose time counts: all but a straggler. */
  readonly measured: readonly Host[]
  readonly folder: string
  readonly subject: Subject
  /** Share of the boot profile that is right; undefined for no profile. */
  readonly profile: number | undefined
  readonly options: LabOptions
  readonly signal: AbortSignal
  readonly note: (text: string) => void
}

/** What came of a run, in seconds since the common start. */
export interface Outcome {
  /** What was measured when a contender does more than one thing: `http .zst`. */
  readonly name: string
  readonly workload: Workload
  readonly machines: number
  /** Of the last measured machine. */
  readonly seconds: number
  readonly machineSeconds: readonly number[]
  /** From the start of the first process until all had loaded their code and waited. */
  readonly loadSeconds: number
  readonly seedTraffic: Traffic
  readonly processors: ProcessorTimes
  /** Seconds of processor time of the seed or server, of all machines, and of the bench itself. */
  readonly processorSeconds: {
    readonly seed: number
    readonly machines: number
    readonly bench: number
  }
  /** True: every disk or file was compared and equal; false: it was not compared. */
  readonly compared: boolean
  readonly facts: Readonly<Record<string, unknown>>
}

export function startOn(
  run: Run,
  host: Host,
  command: readonly string[],
  options?: Pick<StartOptions, 'env'>
): LabProcess {
  const count = run.network.machines.length
  const name = `${run.contender}-${run.workload}-${count}-${host.name}`
  return new LabProcess(host, name, command, { ...options, logFolder: run.options.logs })
}

export interface Released {
  readonly processes: readonly LabProcess[]
  /** performance.now() of the common start. */
  readonly startAtMs: number
  readonly loadSeconds: number
}

const loadMs = { base: 3_000, perMachine: 700 }
const triesMax = 3
/** Asleep for this long, with no more than a timer or a profiler may take of a processor meanwhile. */
const stillMs = 400
const stillSecondsMax = 0.02
/**
 * Starts a process a machine and has them wait for a common moment. Whether all of them had loaded
 * their code by then is seen from outside: they sleep. If not, all begin again with more time.
 */
export async function releaseTogether(
  run: Run,
  launch: (host: Host, startAtEpochMs: number) => LabProcess,
  loadedSecondsMin = 0
): Promise<Released> {
  const { machines } = run.network
  for (let factor = 1; ; factor *= 2) {
    const startedMs = performance.now()
    const waitMs = factor * (loadMs.base + machines.length * loadMs.perMachine)
    const startAtMs = startedMs + waitMs
    const startAtEpochMs = Math.round(performance.timeOrigin + startAtMs)
    const processes = machines.map(host => launch(host, startAtEpochMs))
    const loadedMs = await untilAllSleep(processes, startAtMs, loadedSecondsMin, run.signal)
    if (loadedMs !== undefined) {
      return { processes, startAtMs, loadSeconds: (loadedMs - startedMs) / 1000 }
    }
    await Promise.all(processes.map(process => process.kill()))
    if (factor >= 2 ** (triesMax - 1))
      throw new Error('the processors are too busy to load them all')
    run.note('not everything was loaded in time; once more with more time')
  }
}

/** When the last of them fell asleep, or undefined when one is still busy at the deadline. */
async function untilAllSleep(
  processes: readonly LabProcess[],
  deadlineMs: number,
  loadedSecondsMin: number,
  signal: AbortSignal
): Promise<number | undefined> {
  let still = { sinceMs: performance.now(), spent: -1 }
  while (performance.now() < deadlineMs) {
    await sleep(50, undefined, { signal })
    const ended = processes.find(process => process.isOver)
    if (ended !== undefined) throw new Error(`${ended.name} ended: ${ended.complaint()}`)
    const times = processes.map(({ pid }) => processTimes(pid))
    const spent = sum(times.map(time => time?.seconds ?? 0))
    const allSleep = times.every(time => time?.state === 'S' && time.seconds >= loadedSecondsMin)
    const isStill = spent - still.spent <= stillSecondsMax * processes.length
    if (!allSleep || !isStill) still = { sinceMs: performance.now(), spent }
    if (performance.now() - still.sinceMs >= stillMs) return still.sinceMs
  }
  return undefined
}

/** What is counted from the common start until the end of the work. */
export class Span {
  readonly startAtMs: number
  #run: Run
  #released: Released
  #seed: LabProcess
  #trafficBefore: Traffic
  #processorsBefore!: ProcessorTimes
  #spentBefore!: Spent

  private constructor(run: Run, released: Released, seed: LabProcess, traffic: Traffic) {
    this.#run = run
    this.#released = released
    this.#seed = seed
    this.#trafficBefore = traffic
    this.startAtMs = released.startAtMs
  }

  /** Resolves at the common start. */
  static async start(run: Run, released: Released, seed: LabProcess): Promise<Span> {
    const span = new Span(run, released, seed, await trafficOf(run.network.seed))
    const { signal } = run
    await sleep(Math.max(0, released.startAtMs - performance.now()), undefined, { signal })
    span.#processorsBefore = processorTimes()
    span.#spentBefore = span.#spent()
    return span
  }

  seconds(atMs: number): number {
    return (atMs - this.startAtMs) / 1000
  }

  async end(
    machineSeconds: readonly number[]
  ): Promise<
    Pick<
      Outcome,
      | 'workload'
      | 'machines'
      | 'seconds'
      | 'machineSeconds'
      | 'loadSeconds'
      | 'seedTraffic'
      | 'processors'
      | 'processorSeconds'
    >
  > {
    const processors = processorShares(this.#processorsBefore, processorTimes())
    const [spent, before] = [this.#spent(), this.#spentBefore]
    const traffic = await trafficOf(this.#run.network.seed)
    const since = (key: keyof Traffic): number => traffic[key] - this.#trafficBefore[key]
    return {
      workload: this.#run.workload,
      machines: this.#run.network.machines.length,
      seconds: Math.max(...machineSeconds),
      machineSeconds,
      loadSeconds: this.#released.loadSeconds,
      seedTraffic: {
        sentBytes: since('sentBytes'),
        receivedBytes: since('receivedBytes'),
        sentPackets: since('sentPackets'),
        receivedPackets: since('receivedPackets')
      },
      processors,
      processorSeconds: {
        // A seed that was killed took its record with it.
        seed: rounded(Math.max(0, spent.seed - before.seed), 2),
        machines: rounded(spent.machines - before.machines, 2),
        bench: rounded(spent.bench - before.bench, 2)
      }
    }
  }

  #spent(): Spent {
    const { user, system } = process.cpuUsage()
    return {
      seed: processTimes(this.#seed.pid)?.seconds ?? 0,
      machines: sum(this.#released.processes.map(({ pid }) => processTimes(pid)?.seconds ?? 0)),
      bench: (user + system) / 1e6
    }
  }
}

type Spent = Outcome['processorSeconds']

/** Every machine works; only the measured ones, which come first, are waited for. */
export async function eachMeasured<T>(
  run: Run,
  work: (host: Host, index: number) => Promise<T>
): Promise<T[]> {
  const all = run.network.machines.map(work)
  // Of a straggler nothing is asked but that it is in the way.
  for (const one of all) one.catch(() => {})
  return untilAborted(Promise.all(all.slice(0, run.measured.length)), run.signal)
}

export function diskOf(run: Run, host: Host): string {
  return join(run.folder, `${host.name}.disk`)
}

/** Gives work up when the signal aborts; whatever it was waiting for is killed with the network. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {})
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
