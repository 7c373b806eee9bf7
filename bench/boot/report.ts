import { percentile } from '../lab/statistics.ts'
import type { AgentFigures, Boot } from './contenders.ts'

export interface Row {
  readonly contender: string
  readonly boots: number
  /** Medians. */
  readonly beforeKernelSeconds: number
  readonly loginSeconds: number
  /** Login time over that of the others, medians over medians. */
  readonly overNbdkit: number
  readonly overLocalDisk: number
  readonly agent?: AgentFigures
}

const median = (values: readonly number[]): number => percentile(values, 0.5)

export function rowsOf(boots: readonly Boot[]): Row[] {
  const names = [...new Set(boots.map(({ contender }) => contender))]
  const of = (name: string): Boot[] => boots.filter(({ contender }) => contender === name)
  const login = (name: string): number => median(of(name).map(({ loginSeconds }) => loginSeconds))
  return names.map(name => {
    const agents = of(name).flatMap(({ agent }) => agent ?? [])
    const medianOf = (field: keyof AgentFigures): number =>
      median(agents.map(figures => figures[field]))
    return {
      contender: name,
      boots: of(name).length,
      beforeKernelSeconds: median(of(name).map(boot => boot.beforeKernelSeconds)),
      loginSeconds: login(name),
      overNbdkit: login(name) / login('nbdkit'),
      overLocalDisk: login(name) / login('local disk'),
      ...(agents.length === 0
        ? {}
        : {
            agent: {
              fetchSeconds: medianOf('fetchSeconds'),
              unpackSeconds: medianOf('unpackSeconds'),
              readySeconds: medianOf('readySeconds'),
              attachSeconds: medianOf('attachSeconds'),
              startSeconds: medianOf('startSeconds'),
              agentResidentBytes: medianOf('agentResidentBytes'),
              agentProcessorSeconds: medianOf('agentProcessorSeconds'),
              bytesBeforeLogin: medianOf('bytesBeforeLogin')
            }
          })
    }
  })
}

export interface Sizes {
  readonly firstStageBytes: number
  readonly archiveBytes: number
}

export function markdownOf(rows: readonly Row[], sizes: Sizes): string {
  const head =
    '| root on | boots | before the kernel | kernel to login | over nbdkit | over local disk |'
  const lines = rows.map(row => {
    const times = `${seconds(row.beforeKernelSeconds)} | ${seconds(row.loginSeconds)}`
    const ratios = `${row.overNbdkit.toFixed(2)} | ${row.overLocalDisk.toFixed(2)}`
    return `| ${row.contender} | ${row.boots} | ${times} | ${ratios} |`
  })
  const { agent } = rows.find(row => row.agent !== undefined) ?? {}
  const more =
    agent === undefined
      ? []
      : [
          `fetching the agent ${seconds(agent.fetchSeconds)}, unpacking ${seconds(agent.unpackSeconds)}, its start to a root ${seconds(agent.startSeconds)}, of which the agent takes ${seconds(agent.readySeconds)} and its device ${seconds(agent.attachSeconds)}`,
          `resident at login: agent ${mb(agent.agentResidentBytes)}; the seed had sent ${mb(agent.bytesBeforeLogin)}; the agent had used ${seconds(agent.agentProcessorSeconds)} of the processor`
        ]
  const { firstStageBytes, archiveBytes } = sizes
  const both = `first stage ${mb(firstStageBytes)}, agent archive ${mb(archiveBytes)}, together ${mb(firstStageBytes + archiveBytes)}`
  return [head, '|---|---|---|---|---|---|', ...lines, '', ...more, both].join('\n')
}

function seconds(value: number): string {
  return `${value.toFixed(1)} s`
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
