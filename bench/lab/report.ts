import type { Outcome } from './run.ts'
import type { SeedDeath } from './seed-death.ts'
import { rounded, sum } from './statistics.ts'
import type { ReplayFacts } from './replay.ts'
import type { ProbeSummary } from './probe-log.ts'

/** A figure counts only when the processors, which all machines share, were no bottleneck. */
export const idleShareMin = 0.1

export function counts(outcome: Outcome): boolean {
  return outcome.processors.idle >= idleShareMin
}

export interface Yardstick {
  readonly storedBytes: number
  /** Payload that one link takes. */
  readonly bytesPerSecond: number
}

const columns = [
  'workload',
  'contender',
  'N',
  'first s',
  'last s',
  'x own N=1',
  'x link',
  'seed MB',
  'x stored',
  'idle %',
  'load s',
  'counts'
] as const

/** `x link` is against the stored bytes over one link, `x stored` against one copy of them. */
export function table(
  outcomes: readonly Outcome[],
  { storedBytes, bytesPerSecond }: Yardstick
): string {
  const rows = outcomes.map(outcome => {
    const { workload, name, machines, seconds, machineSeconds, seedTraffic, loadSeconds } = outcome
    const single = outcomeOf(outcomes, name, workload, 1)
    return [
      workload,
      name,
      String(machines),
      Math.min(...machineSeconds).toFixed(2),
      seconds.toFixed(2),
      single === undefined ? '-' : (seconds / single.seconds).toFixed(2),
      workload === 'copy' ? (seconds / (storedBytes / bytesPerSecond)).toFixed(2) : '-',
      (seedTraffic.sentBytes / 1e6).toFixed(1),
      (seedTraffic.sentBytes / storedBytes).toFixed(2),
      (outcome.processors.idle * 100).toFixed(0),
      loadSeconds.toFixed(1),
      counts(outcome) ? 'yes' : 'NO: slower links needed'
    ]
  })
  return aligned([columns, ...rows])
}

export function outcomeOf(
  outcomes: readonly Outcome[],
  name: string,
  workload: string,
  machines: number
): Outcome | undefined {
  return outcomes.find(
    outcome =>
      outcome.name === name && outcome.workload === workload && outcome.machines === machines
  )
}

/** What bootswarm itself had to say about a run, a line each. */
export function details(outcome: Outcome, bootSetBytes: number): string[] {
  const { processors, processorSeconds, facts, workload, machines } = outcome
  const percent = (share: number): string => `${(share * 100).toFixed(0)} %`
  const lines = [
    `${workload} N=${machines} ${outcome.name}: processors ${percent(processors.user)} user, ` +
      `${percent(processors.kernel)} kernel, ${percent(processors.interrupts)} interrupts, ` +
      `${percent(processors.idle)} idle; seconds of seed ${processorSeconds.seed}, ` +
      `machines ${processorSeconds.machines}, bench ${processorSeconds.bench}`
  ]
  const replays = (facts.replays ?? []) as ReplayFacts[]
  if (replays.length > 0) {
    const worst = (key: 'p50' | 'p95' | 'p99' | 'max'): number =>
      rounded(Math.max(...replays.map(({ latencyMs }) => latencyMs[key])), 0)
    const late = sum(replays.map(replay => replay.late))
    lines.push(
      `  a read on the worst machine: p50 ${worst('p50')} ms, p95 ${worst('p95')}, ` +
        `p99 ${worst('p99')}, max ${worst('max')}; ${late} reads waited over 2 s`,
      `  waiting beyond 5 ms a read, all machines: ${waitingSeconds(outcome).toFixed(2)} s in ` +
        `${sum(replays.map(({ waits }) => waits.reads))} reads`
    )
  }
  const crossed = Number(facts.uplinkBytes ?? 0)
  if (crossed > 0) lines.push(`  lines between racks: ${(crossed / 1e6).toFixed(1)} MB, both ways`)
  const seedProbe = facts.seedProbe as ProbeSummary | undefined
  if (seedProbe !== undefined) {
    lines.push(
      `  seed: ${seedProbe.chunksSent} chunks sent (${seedProbe.distinctChunksSent} distinct), ` +
        `of the boot set ${(seedProbe.bootSetBytesSent / 1e6).toFixed(1)} MB = ` +
        `${(seedProbe.bootSetBytesSent / bootSetBytes).toFixed(2)} times its frames; ` +
        `${(seedProbe.messagesPerSecondMax / machines).toFixed(1)} messages a second a machine at the peak`,
      `  seed decided: ${JSON.stringify(seedProbe.decisions)}`,
      `  seed received: ${JSON.stringify(seedProbe.received)}`
    )
  }
  const completed = (facts.completeSeconds ?? []) as number[]
  if (completed.length > 0)
    lines.push(`  complete after ${Math.max(...completed)} s; disks compared`)
  const death = facts.seedDeath as SeedDeath | undefined
  if (death !== undefined) {
    lines.push(
      `  seed killed: the survivors held ${death.chunksInUnion} chunks together, the poorest ` +
        `${death.chunksOfPoorest} of them ${death.unionReachedSeconds} s after; ` +
        `all done ${death.completeAfterReturnSeconds} s after its return`
    )
  }
  const starved = Number(facts.starved ?? 0)
  if (starved > 0) lines.push(`  ${starved} times a read starved`)
  return lines
}

/** What the machines of a replay waited together, beyond what a disk may take. */
export function waitingSeconds({ facts }: Outcome): number {
  const replays = (facts.replays ?? []) as ReplayFacts[]
  return sum(replays.map(({ waits }) => waits.seconds))
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
        )
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}
