import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { cpus, freemem, release } from 'node:os'
import { join, resolve } from 'node:path'
import { chart, panelsOf } from './chart.ts'
import { contenders } from './contenders.ts'
import { folderRoots, labName } from './leftovers.ts'
import { subjectWith } from './learning.ts'
import { buildNetwork, payloadBytesPerSecond, processorSecondsIn } from './network.ts'
import { nameWith, type ContenderName, type LabOptions, type Workload } from './options.ts'
import { processorShares, processorTimes } from './processors.ts'
import { counts, details, table } from './report.ts'
import { untilAborted, type Outcome } from './run.ts'
import { sideBySideLine, simulateOutcomes } from './simulated.ts'
import { sum } from './statistics.ts'
import { prepareSubject, type Subject } from './subject.ts'
import { verdictLine, verdicts } from './targets.ts'

interface Failure {
  readonly contender: ContenderName
  readonly workload: Workload
  readonly machines: number
  readonly why: string
}

/** Disks of 16 machines, 400 MB each, and as much again for the processes and the image. */
const memoryBytesMin = 12e9

const startedAt = performance.now()
function note(text: string): void {
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${text}`)
}

/** Runs all that was asked for and prints what came of it; false when something failed. */
export async function measure(options: LabOptions, signal: AbortSignal): Promise<boolean> {
  const folder = join(await roomiestFolder(), labName('files'))
  await mkdir(folder, { recursive: true })
  if (options.logs !== undefined) await mkdir(options.logs, { recursive: true })
  const { image, kernelDir, trace } = options
  const subject = await untilAborted(
    prepareSubject({ image, kernelDir, trace, folder, note, signal }),
    signal
  )
  const outcomes: Outcome[] = []
  const failures: Failure[] = []
  for (const planned of plan(options)) {
    const { contender, workload, machines, profile } = planned
    const name = contender === 'bootswarm' ? nameWith(profile) : contender
    note(`${workload} to ${machines} by ${name}`)
    try {
      const done = await runOne(planned, subject, options, folder, signal)
      outcomes.push(...done)
      for (const { name, seconds } of done) note(`${name}: ${seconds.toFixed(2)} s`)
    } catch (error) {
      signal.throwIfAborted()
      const why = error instanceof Error ? error.message : String(error)
      failures.push({ contender, workload, machines, why })
      note(`failed: ${why}`)
    }
  }
  await report(options, subject, outcomes, failures)
  return failures.length === 0
}

interface Planned extends Pick<Failure, 'contender' | 'workload' | 'machines'> {
  readonly profile: number | undefined
}

function plan(options: LabOptions): Planned[] {
  const all = options.workloads.flatMap(workload =>
    options.machines.flatMap(machines =>
      options.contenders.flatMap(contender =>
        (contender === 'bootswarm' && workload === 'replay' ? options.profiles : [undefined]).map(
          profile => ({ contender, workload, machines, profile })
        )
      )
    )
  )
  return all.filter(
    ({ contender, workload, machines }) =>
      contenders[contender].workloads.includes(workload) &&
      (contender !== 'http' || machines <= options.httpMachinesMax)
  )
}

async function runOne(
  { contender, workload, machines, profile }: Planned,
  original: Subject,
  options: LabOptions,
  parent: string,
  stopped: AbortSignal
): Promise<Outcome[]> {
  // A folder a run, gone after it: the disks of all runs together would not fit into memory.
  const folder = join(parent, 'run')
  await mkdir(folder, { recursive: true })
  const subject = await subjectWith(original, profile)
  const { rate, seedRate, queueMs, straggler: stragglerRate } = options
  const network = await buildNetwork({
    machines,
    rate,
    seedRate,
    stragglerRate,
    queueMs,
    racks: Math.min(machines, options.racks),
    uplinkRate: options.uplink
  })
  const late = AbortSignal.timeout(options.timeoutSeconds * 1000)
  const signal = AbortSignal.any([stopped, late])
  const hosts = network.machines
  const measured = stragglerRate === undefined ? hosts : hosts.slice(0, -1)
  const run = {
    ...{ contender, workload, profile, network, measured, folder, subject, options, signal, note }
  }
  const before = processorTimes()
  try {
    return await untilAborted(contenders[contender].run(run), signal)
  } catch (error) {
    if (!late.aborted) throw error
    const { idle } = processorShares(before, processorTimes())
    const spent = (await processorSecondsIn(network)).toFixed(0)
    const busy = `the processors were ${(idle * 100).toFixed(0)} % idle, the lab had ${spent} s of them`
    throw new Error(`not done within ${options.timeoutSeconds} s; ${busy}`, { cause: error })
  } finally {
    network.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function report(
  options: LabOptions,
  subject: Subject,
  outcomes: readonly Outcome[],
  failures: readonly Failure[]
): Promise<void> {
  const bootSetBytes = sum([...subject.bootSet.values()])
  const bytesPerSecond = payloadBytesPerSecond(options.rate)
  const goals = {
    storedBytes: subject.storedBytes,
    bytesPerSecond,
    bootSetBytes,
    isSeedFaster: options.seedRate !== options.rate
  }
  const judged = verdicts(outcomes, goals)
  console.log(
    `links of ${options.rate} (seed ${options.seedRate}), ${cpus().length} processors; ` +
      `${(subject.storedBytes / 1e6).toFixed(1)} MB stored = ` +
      `${(subject.storedBytes / bytesPerSecond).toFixed(2)} s of one link; boot set ` +
      `${subject.bootSet.size} chunks, ${(bootSetBytes / 1e6).toFixed(1)} MB, ${subject.trace.reads.length} reads\n`
  )
  console.log(table(outcomes, goals))
  console.log()
  for (const outcome of outcomes) console.log(details(outcome, bootSetBytes).join('\n'))
  for (const { contender, workload, machines, why } of failures) {
    console.log(`FAILED ${workload} to ${machines} by ${contender}: ${why}`)
  }
  const simulated = await simulateOutcomes(outcomes, subject, options)
  if (simulated.length > 0) console.log(`\n${simulated.map(sideBySideLine).join('\n')}`)
  if (judged.length > 0) console.log(`\n${judged.map(verdictLine).join('\n')}`)
  if (outcomes.some(outcome => !counts(outcome))) {
    console.log('\nSome figures do not count: use slower links (--rate) for every contender.')
  }
  const { cid, size, chunkSize, storedBytes, bootSet, trace } = subject
  const about = { cid, size, chunkSize, storedBytes }
  const machine = { processors: cpus().map(({ model }) => model), kernel: release() }
  const whole = {
    machine,
    options,
    subject: { ...about, bootSetBytes, bootSetChunks: bootSet.size, reads: trace.reads.length },
    outcomes,
    failures,
    simulated,
    verdicts: judged
  }
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify(whole, null, 1)}\n`)
  if (options.svg !== undefined) await writeFile(options.svg, chart(panelsOf(outcomes)))
  for (const path of [options.json, options.svg]) {
    if (path !== undefined) console.error(`wrote ${resolve(path)}`)
  }
}

/** The disks of all machines have to fit, so memory is used only where there is plenty. */
async function roomiestFolder(): Promise<string> {
  const rooms = await Promise.all(
    folderRoots.map(async path => {
      const { bavail, bsize } = await statfs(path)
      return { path, free: bavail * bsize }
    })
  )
  const [memory, disk] = rooms
  const isPlenty = memory !== undefined && Math.min(memory.free, freemem()) > memoryBytesMin
  return (isPlenty ? memory : disk)?.path ?? '/tmp'
}
