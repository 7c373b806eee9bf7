import type { LabResult } from './lab-result.ts'

export interface Row {
  readonly workload: 'copy' | 'replay'
  readonly agents: number
  readonly result: LabResult
  readonly realMs: number
}

const columns: readonly (readonly [string, (row: Row, first: Row) => string])[] = [
  ['workload', ({ workload }) => workload],
  ['N', ({ agents }) => String(agents)],
  ['last s', ({ result }) => seconds(result.lastMs)],
  ['median s', ({ result }) => seconds(result.medianMs)],
  ['troubled s', ({ result }) => seconds(result.troubledMs)],
  ['x first', ({ result }, first) => (result.lastMs / first.result.lastMs).toFixed(3)],
  ['done', ({ result }) => `${result.done}/${result.expected}`],
  ['held', ({ result }) => `${result.heldMin}/${result.heldUnion}`],
  ['seed copies', ({ result }) => result.seedCopies.toFixed(2)],
  ['boot sets', ({ result }) => result.seedBootSets.toFixed(2)],
  [
    'rack in/all',
    ({ result: { rackCopies: r } }) => `${r.into.toFixed(2)}/${r.crossed.toFixed(2)}`
  ],
  ['extra %', ({ result }) => (100 * result.extraShare).toFixed(1)],
  [
    'urgent p50/95/max ms',
    ({ result: { urgentMs: u } }) => [u.p50, u.p95, u.max].map(Math.round).join('/')
  ],
  ['still ms', ({ result }) => result.stillMsMax.toFixed(0)],
  ['msg/s', ({ result }) => result.seedMessagesPeak.toFixed(0)],
  ['links', ({ result }) => String(result.linksMax)],
  ['cpu', ({ result }) => result.processorShare.toFixed(2)],
  ['broken rules', ({ result }) => String(result.violationCount)],
  ['took s', ({ realMs }) => seconds(realMs)]
]

/** `x first` compares a row with the first of its workload. */
export function resultTable(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const first = rows.find(({ workload }) => workload === row.workload) ?? row
    return columns.map(([, text]) => text(row, first))
  })
  const table = [columns.map(([name]) => name), ...lines]
  const widths = columns.map((_, at) => Math.max(...table.map(line => line[at]?.length ?? 0)))
  const text = table.map(line => line.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('  '))
  return [...text, ...rows.flatMap(brokenRules)].join('\n')
}

function brokenRules({ workload, agents, result }: Row): string[] {
  return result.violations
    .slice(0, 5)
    .map(({ rule, atMs, what }) => `${workload} ${agents}: ${rule} at ${seconds(atMs)} s: ${what}`)
}

/** Messages by type: at a seed in its busiest second, a machine, and of all nodes, a machine in all. */
export function messageTable({ workload, agents, result }: Row): string {
  const { seedMessages, messages } = result
  const names = [...new Set([...Object.keys(seedMessages), ...Object.keys(messages)])]
  const share = (count = 0): string => (count / agents).toFixed(2).padStart(12)
  return [
    `${workload} ${agents}: ${'message'.padEnd(10)} seed, peak/s   sent in all   (a machine)`,
    ...names.map(
      name => `  ${name.padEnd(18)} ${share(seedMessages[name])}  ${share(messages[name])}`
    )
  ].join('\n')
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(2)
}
