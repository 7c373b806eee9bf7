import { cpus } from 'node:os'
import { idOfCidText } from '../../src/image/index.ts'
import { openStore } from '../../src/store/index.ts'
import {
  chunkListOf,
  simulateLab,
  type ChunkList,
  type Trace
} from '../../test/simulation/index.ts'
import { bitsPerSecond } from './network.ts'
import type { LabOptions } from './options.ts'
import type { ProbeSummary } from './probe-log.ts'
import type { Outcome } from './run.ts'
import { sum } from './statistics.ts'
import type { Subject } from './subject.ts'

/** A figure as this lab has it and as the simulator has it (docs/simulator.md). */
export interface SideBySide {
  readonly what: string
  readonly measured: number
  readonly simulated: number
}

/** The same labs in the simulator: they run the same rules, so its figures are to be near. */
export async function simulateOutcomes(
  outcomes: readonly Outcome[],
  subject: Subject,
  options: LabOptions
): Promise<SideBySide[]> {
  // What the simulator is not told of, it cannot repeat.
  const isPlain = [options.killSeedAt, options.without, options.fallbackMs].every(
    value => value === undefined
  )
  // Its racks have each a line of their own.
  if (options.racks > 1) return []
  const own = outcomes.filter(({ name }) => name === 'bootswarm')
  if (!isPlain || own.length === 0) return []
  const chunks = await chunkListOfSubject(subject)
  return own.flatMap(outcome => sideBySide(outcome, subject, chunks, options))
}

async function chunkListOfSubject(subject: Subject): Promise<ChunkList> {
  const store = await openStore(subject.storePath)
  try {
    return await chunkListOf(store, idOfCidText(subject.cid) ?? '')
  } finally {
    await store.close()
  }
}

function sideBySide(
  outcome: Outcome,
  subject: Subject,
  chunks: ChunkList,
  { rate, seedRate, straggler, queueMs }: LabOptions
): SideBySide[] {
  const { workload, machines, facts } = outcome
  const simulated = simulateLab({
    workload,
    machines,
    mbit: megabits(rate),
    seedMbit: megabits(seedRate),
    queueMs,
    ...(straggler === undefined ? {} : { stragglerMbit: megabits(straggler) }),
    cores: cpus().length,
    processorSeconds: sum(Object.values(outcome.processorSeconds)),
    chunks,
    trace: traceOf(subject)
  })
  const name = `${workload} N=${machines}`
  const probe = facts.seedProbe as ProbeSummary | undefined
  const payload = Number(facts.seedPayloadBytes)
  const bootSetBytes = [...subject.bootSet.values()].reduce((sum, bytes) => sum + bytes, 0)
  return [
    { what: `${name}: last machine, s`, measured: outcome.seconds, simulated: simulated.seconds },
    {
      what: `${name}: payload sent by the seed, MB`,
      measured: payload / 1e6,
      simulated: simulated.seedBytes / 1e6
    },
    ...(probe === undefined
      ? []
      : [
          {
            what: `${name}: boot set sent by the seed, in copies`,
            measured: probe.bootSetBytesSent / bootSetBytes,
            simulated: simulated.seedBootSets
          },
          {
            what: `${name}: messages at the seed, a second a machine`,
            measured: probe.messagesPerSecondMax / machines,
            simulated: simulated.messagesPeak
          }
        ])
  ]
}

export function sideBySideLine({ what, measured, simulated }: SideBySide): string {
  const off = measured === 0 ? 0 : (simulated / measured - 1) * 100
  const sign = off < 0 ? '-' : '+'
  return `${what}: measured ${measured.toFixed(2)}, simulated ${simulated.toFixed(2)} (${sign}${Math.abs(off).toFixed(0)} %)`
}

function traceOf({ trace: { image, reads } }: Subject): Trace {
  return { image, reads: reads.map(({ seconds, offset, length }) => [seconds, offset, length]) }
}

function megabits(rate: string): number {
  return bitsPerSecond(rate) / 1e6
}
