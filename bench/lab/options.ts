import { parseArgs } from 'node:util'
import { bitsPerSecond } from './network.ts'

export const contenderNames = ['bootswarm', 'nbdkit', 'libtorrent', 'http'] as const
export type ContenderName = (typeof contenderNames)[number]
export const workloads = ['replay', 'copy'] as const
export type Workload = (typeof workloads)[number]

export interface LabOptions {
  readonly machines: readonly number[]
  readonly rate: string
  readonly seedRate: string
  /** Switches that the machines are divided among; the seed is at the first. */
  readonly racks: number
  /** Of the line from the first switch to each other; undefined: `rate`. */
  readonly uplink: string | undefined
  readonly queueMs: number
  readonly workloads: readonly Workload[]
  readonly contenders: readonly ContenderName[]
  /** The rate of the last machine's link, when it is a slow one. */
  readonly straggler: string | undefined
  readonly killSeedAt: number | undefined
  readonly agentArgs: readonly string[]
  readonly seedArgs: readonly string[]
  /** Replays, one after the other: share of the boot profile that is right; undefined for no profile. */
  readonly profiles: readonly (number | undefined)[]
  /** Rules of the swarm that are switched off, in the seed and in every agent. */
  readonly without: string | undefined
  readonly fallbackMs: string | undefined
  /** The other full copies of more machines than this are not waited for. */
  readonly httpMachinesMax: number
  readonly image: string | undefined
  readonly kernelDir: string | undefined
  readonly trace: string | undefined
  readonly compare: boolean
  readonly probeAgents: boolean
  readonly timeoutSeconds: number
  readonly json: string | undefined
  readonly svg: string | undefined
  readonly logs: string | undefined
}

export const usage = `usage: node bench/lab.ts [options]      (root only; docs/bench-lab.md)
  --machines 1,2,16        how many machines, a run each
  --rate 40mbit            every link, both ways
  --seed-rate RATE         the seed's link (default: --rate)
  --racks 1                switches that the machines are divided among, the seed at the first
  --uplink RATE            the line from the first switch to each other (default: --rate)
  --queue-ms 50            how long a packet may wait in a port
  --workload both          replay, copy or both
  --contenders LIST        of bootswarm,nbdkit,libtorrent,http (default: all)
  --straggler RATE         the last machine's link; the others are measured
  --kill-seed-at SECONDS   copy: the seed is killed, and returns when the survivors stand still
  --agent-arg ARG          given to every agent; may be repeated, as in --agent-arg=--until
  --seed-arg ARG           given to the seed
  --profile none           replays with what the seed learned from one earlier boot, of which a share is right:
                           none,1,0.8 replays cold, with a right profile, and with one of which a fifth is wrong
  --without MECHANISM,...  switch rules of the swarm off (docs/simulator.md has their names)
  --fallback-ms MS         ask elsewhere when a request stands still for so long
  --http-max 16            HTTP only up to so many machines: its time grows with them
  --image FILE --kernel-dir DIR --trace FILE    other than the Debian image
  --skip-compare           do not wait for complete disks and compare them after a replay
  --probe-agents           count messages in the agents too, not only in the seed
  --timeout 1800           seconds after which a run is given up
  --json FILE --svg FILE   the figures, and a chart of them
  --logs DIR               keep what every process printed`

/** What the runs with a profile are called; those without are plainly `bootswarm`. */
export function nameWith(profile: number | undefined): string {
  return profile === undefined ? 'bootswarm' : `bootswarm, profile ${profile}`
}

/** Throws what is to be told to the user. */
export function parseOptions(args: readonly string[]): LabOptions {
  const { values } = parseArgs({ args: [...args], options: optionTypes })
  const workload = oneOf('--workload', values.workload, [...workloads, 'both'] as const)
  const rate = checkedRate(values.rate)
  const killSeedAt =
    values['kill-seed-at'] === undefined
      ? undefined
      : positive('--kill-seed-at', values['kill-seed-at'])
  return {
    machines: values.machines.split(',').map(text => machineCount(text)),
    rate,
    seedRate: values['seed-rate'] === undefined ? rate : checkedRate(values['seed-rate']),
    racks: machineCount(values.racks),
    uplink: values.uplink === undefined ? undefined : checkedRate(values.uplink),
    queueMs: positive('--queue-ms', values['queue-ms']),
    workloads: workload === 'both' ? workloads : [workload],
    contenders: values.contenders
      .split(',')
      .map(name => oneOf('--contenders', name, contenderNames)),
    straggler: values.straggler === undefined ? undefined : checkedRate(values.straggler),
    killSeedAt,
    agentArgs: values['agent-arg'],
    seedArgs: values['seed-arg'],
    profiles: values.profile.split(',').map(text => shareOf('--profile', text)),
    without: values.without,
    fallbackMs: values['fallback-ms'],
    httpMachinesMax: positive('--http-max', values['http-max']),
    image: values.image,
    kernelDir: values['kernel-dir'],
    trace: values.trace,
    compare: !values['skip-compare'],
    probeAgents: values['probe-agents'],
    timeoutSeconds: positive('--timeout', values.timeout),
    json: values.json,
    svg: values.svg,
    logs: values.logs
  }
}

const optionTypes = {
  machines: { type: 'string', default: '1,2,16' },
  rate: { type: 'string', default: '40mbit' },
  'seed-rate': { type: 'string' },
  racks: { type: 'string', default: '1' },
  uplink: { type: 'string' },
  'queue-ms': { type: 'string', default: '50' },
  workload: { type: 'string', default: 'both' },
  contenders: { type: 'string', default: contenderNames.join(',') },
  straggler: { type: 'string' },
  'kill-seed-at': { type: 'string' },
  'agent-arg': { type: 'string', multiple: true, default: [] as string[] },
  'seed-arg': { type: 'string', multiple: true, default: [] as string[] },
  profile: { type: 'string', default: 'none' },
  without: { type: 'string' },
  'fallback-ms': { type: 'string' },
  'http-max': { type: 'string', default: '16' },
  image: { type: 'string' },
  'kernel-dir': { type: 'string' },
  trace: { type: 'string' },
  'skip-compare': { type: 'boolean', default: false },
  'probe-agents': { type: 'boolean', default: false },
  timeout: { type: 'string', default: '1800' },
  json: { type: 'string' },
  svg: { type: 'string' },
  logs: { type: 'string' }
} as const

function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find(name => name === text)
  if (found === undefined) throw new Error(`${option} ${text} is none of ${known.join(', ')}`)
  return found
}

function machineCount(text: string): number {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count >= 1 && count <= 200) return count
  throw new Error(`--machines ${text}: a lab on one host has 1 to 200 machines`)
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`${option} ${text} is not a positive number`)
}

function shareOf(option: string, text: string): number | undefined {
  if (text === 'none') return undefined
  const share = positive(option, text)
  if (share <= 1) return share
  throw new Error(`${option} ${text} is more than all of it: write 1, or 0.8`)
}

function checkedRate(text: string): string {
  bitsPerSecond(text)
  return text
}
