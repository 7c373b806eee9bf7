import { parseArgs } from 'node:util'
import { limits } from '../../src/base/index.ts'
import { allMechanisms, type Mechanisms } from '../../src/scheduler/index.ts'
import type { LabOptions } from './simulation.ts'

/** A lab as the bench's, with all its machines' lines at 40 Mbit/s and nothing going wrong. */
export const defaultOptions: LabOptions = {
  seed: 1,
  workload: 'replay',
  agents: 16,
  seeds: 1,
  mbit: 40,
  seedMbit: 40,
  latencyMs: 0.2,
  socketBufferBytes: limits.sendBufferPeerBytes,
  nodeBufferBytes: 0,
  burstBytes: 128 * 1024,
  payloadShare: 0.956,
  rackSize: 0,
  rackMbit: 1_000,
  costs: { handshakeMs: 5, messageMs: 0.1, megabyteMs: 4, verifyMs: 1 },
  mechanisms: allMechanisms,
  background: 1,
  cores: 0,
  loadMs: 0.1,
  localReadMs: 0.2,
  spreadMs: 50,
  stragglers: 0,
  stragglerMbit: 1,
  lost: 0,
  lostAtMs: 5_000,
  late: 0,
  lateMs: 5_000,
  liars: 0,
  mutes: 0,
  seedDiesMs: 0,
  seedReturnsMs: 0,
  endMs: 300_000,
  seedCopiesMax: 2
}

/** `--seed-mbit 400` for `seedMbit`, and so on for every number of the options. */
export interface CommandLine {
  readonly lab: LabOptions
  readonly counts: readonly number[]
  readonly workloads: readonly LabOptions['workload'][]
  readonly trace: string
  readonly image: string | undefined
  readonly json: boolean
}

export function readCommandLine(args: readonly string[]): CommandLine {
  const numbers = Object.entries(defaultOptions).flatMap(([name, value]) =>
    typeof value === 'number' && name !== 'agents' ? [name] : []
  )
  const costs = Object.keys(defaultOptions.costs) as (keyof LabOptions['costs'])[]
  const { values } = parseArgs({
    args: [...args],
    options: {
      agents: { type: 'string', default: '1,16,64' },
      workload: { type: 'string', default: 'copy,replay' },
      trace: { type: 'string', default: '/work/shared/data/debian12-boot-reads.json' },
      image: { type: 'string' },
      without: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      ...Object.fromEntries(
        [...numbers, ...costs].map(name => [dashed(name), { type: 'string' as const }])
      )
    }
  })
  const given = values as unknown as Record<string, string | undefined>
  const chosen = (names: readonly (string | undefined)[]): Record<string, number> =>
    Object.fromEntries(
      names.flatMap(name => {
        const text = name === undefined ? undefined : given[dashed(name)]
        return name === undefined || text === undefined ? [] : [[name, numberOf(name, text)]]
      })
    )
  const lab = {
    ...defaultOptions,
    ...chosen(numbers),
    costs: { ...defaultOptions.costs, ...chosen(costs) },
    mechanisms: mechanismsWithout(String(values.without))
  }
  return {
    lab,
    counts: String(values.agents)
      .split(',')
      .map(text => numberOf('agents', text)),
    workloads: String(values.workload).split(',').map(workloadOf),
    trace: String(values.trace),
    image: given['image'],
    json: values.json === true
  }
}

/** All but those named, with commas between. */
function mechanismsWithout(text: string): Mechanisms {
  const off = text.split(',').filter(name => name !== '')
  const unknown = off.find(name => !Object.hasOwn(allMechanisms, name))
  if (unknown !== undefined) {
    throw new Error(`--without ${unknown} is none of ${Object.keys(allMechanisms).join(', ')}`)
  }
  return { ...defaultOptions.mechanisms, ...Object.fromEntries(off.map(name => [name, false])) }
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function numberOf(name: string, text: string): number {
  const number = Number(text)
  if (text === '' || !Number.isFinite(number) || number < 0) {
    throw new Error(`--${dashed(name)} ${text} is no number`)
  }
  return number
}

function workloadOf(text: string): LabOptions['workload'] {
  if (text === 'copy' || text === 'replay') return text
  throw new Error(`--workload ${text} is neither copy nor replay`)
}
