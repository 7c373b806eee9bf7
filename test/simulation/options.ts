import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { limits } from '../../src/base/index.ts'
import { defaultMechanisms, type Mechanisms } from '../../src/scheduler/index.ts'
import type { LabOptions, Workload } from './lab-options.ts'
import type { Costs } from './processor.ts'

type NumberOf<T> = { [K in keyof T]-?: T[K] extends number ? K : never }[keyof T]
type NumberOption = Exclude<NumberOf<LabOptions>, 'agents'> | keyof Costs

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
  queueMs: 50,
  payloadShare: 0.956,
  rackSize: 0,
  rackMbit: 1_000,
  seedRack: 0,
  costs: { handshakeMs: 3.5, messageMs: 0.035, megabyteMs: 1, verifyMs: 1, compressMs: 1.5 },
  mechanisms: defaultMechanisms,
  profile: 0,
  background: 1,
  fallbackMs: 0,
  cores: 0,
  loadMs: 0.1,
  localReadMs: 0.2,
  spreadMs: 50,
  stragglers: 0,
  stragglerMbit: 1,
  leavers: 0,
  leaveAtMs: 4_000,
  returnMs: 8_000,
  lost: 0,
  lostAtMs: 5_000,
  late: 0,
  lateMs: 5_000,
  mutes: 0,
  liars: 0,
  slow: 0,
  slowTimes: 20,
  seedDiesMs: 0,
  seedReturnsMs: 0,
  items: 0,
  frameBytes: 50_000,
  thinkMs: 5,
  endMs: 300_000,
  seedCopiesMax: 2
}

/** What every number means, for --help and docs/simulator.md. */
export const numberMeanings: Readonly<Record<NumberOption, string>> = {
  seed: 'everything that is random comes of it',
  seeds: 'seeds that serve the image',
  mbit: "rate of a machine's line, each way, Mbit/s",
  seedMbit: "rate of a seed's line, each way, Mbit/s",
  latencyMs: 'one way, any node to any node',
  socketBufferBytes: 'what is handed to one connection and cannot be overtaken',
  nodeBufferBytes: 'the same over all connections of a node; 0 for no bound',
  burstBytes: 'what a shaped port that was idle lets pass at once',
  queueMs: 'what may wait in a port, in ms of its rate',
  payloadShare: "share of a line's rate that is payload",
  rackSize: 'machines in a rack; 0 for no racks',
  rackMbit: "rate of a rack's line to the others, each way, Mbit/s",
  seedRack: 'the rack that the seeds are in, from 1; 0 for a place of their own, without a label',
  profile: 'share of the boot profile that is right; 0 for no profile',
  background: '0: nothing is fetched but what is read',
  fallbackMs: 'after so long without a byte another peer is asked; 0 for the product’s own time',
  cores: 'cores that all nodes share, as in a lab on one computer; 0 for one each',
  loadMs: 'from asking the store or the relay cache to having a frame',
  localReadMs: 'what NBD and the disk add to a read',
  spreadMs: 'machines start within this time',
  stragglers: 'machines on a slow line',
  stragglerMbit: 'their rate, Mbit/s',
  leavers: 'machines whose agents die and start again on the same disk',
  leaveAtMs: 'when they die',
  returnMs: 'when they start again',
  lost: 'machines that fail for good, every other one by losing its line',
  lostAtMs: 'when they fail',
  late: 'machines that start later',
  lateMs: 'how much later',
  mutes: 'machines that promise chunks and never send any',
  liars: 'machines that say that they have everything and send what they do not have',
  slow: 'machines that answer slowly, over a slow line out; what they fetch comes as ever',
  slowTimes: 'how many times as slowly',
  seedDiesMs: 'when the seeds die; 0 for never',
  seedReturnsMs: 'when they start again; 0 for never',
  items: 'chunks of a small image, drawn; 0 for the image given or a Debian-like one',
  frameBytes: 'bytes of each chunk of a small image',
  thinkMs: 'what the boot of a small image thinks before each read',
  endMs: 'a run is given up then',
  seedCopiesMax: 'copies of the image that the seeds may send',
  handshakeMs: 'processor time of a new connection, each side',
  messageMs: 'processor time of a message or segment, each side',
  megabyteMs: 'processor time of a MB sent or received, each side',
  verifyMs: 'processor time of decompressing, hashing and writing a chunk',
  compressMs: 'processor time of reading and compressing a chunk that the relay cache has lost'
}

/** What is not a number. */
export const otherMeanings = {
  agents: 'machines; several numbers for several runs',
  workload: 'copy, replay, or both',
  without: 'mechanisms that are switched off, with commas between',
  trace: 'the reads of a boot, as recorded: [seconds, offset, bytes] each, or bench/lab’s trace',
  image: 'the list of an image’s chunks (test/simulation/chunk-list.ts) in place of a drawn one',
  messages: 'prints what the seed and all nodes say, by type',
  progress: 'says now and then how far a run is, on standard error',
  json: 'prints everything as JSON'
} as const

/** A boot of Debian 12 to its login prompt under QEMU: 928 reads, 38.5 MB of them distinct. */
const recordedBoot = 'test/simulation/debian12-boot-reads.json'
const root = fileURLToPath(new URL('../..', import.meta.url))

const otherDefaults = {
  agents: '1,16,64',
  workload: 'copy,replay',
  without: '',
  trace: recordedBoot,
  image: '',
  messages: '',
  progress: '',
  json: ''
} as const satisfies Record<keyof typeof otherMeanings, string>

/** Every option with its default and its meaning, as docs/simulator.md has them. */
export function optionTable(): string {
  const rows = optionRows().map(
    ([name, value, meaning]) =>
      `| \`${name}\` | ${value === '' ? '' : `\`${value}\``} | ${meaning} |`
  )
  return ['| option | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')
}

/** What --help prints. */
export function usage(): string {
  const rows = optionRows().map(
    ([name, value, meaning]) =>
      `  ${name.padEnd(24)} ${meaning}${value === '' ? '' : ` (default ${value})`}\n`
  )
  return `usage: npm run sim -- [options]      (docs/simulator.md)\n${rows.join('')}`
}

function optionRows(): [name: string, value: string, meaning: string][] {
  const all: Readonly<Record<string, unknown>> = { ...defaultOptions, ...defaultOptions.costs }
  return [
    ...Object.entries(otherMeanings).map(([name, meaning]): [string, string, string] => [
      `--${dashed(name)}`,
      otherDefaults[name as keyof typeof otherMeanings],
      meaning
    ]),
    ...Object.entries(numberMeanings).map(([name, meaning]): [string, string, string] => [
      `--${dashed(name)}`,
      String(all[name]),
      meaning
    ])
  ]
}

export interface CommandLine {
  readonly lab: LabOptions
  readonly counts: readonly number[]
  readonly workloads: readonly Workload[]
  readonly trace: string
  readonly image: string | undefined
  readonly messages: boolean
  readonly progress: boolean
  readonly json: boolean
}

/** `--seed-mbit 400` for `seedMbit`, and so on for every number of the options. */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      agents: { type: 'string', default: otherDefaults.agents },
      workload: { type: 'string', default: otherDefaults.workload },
      trace: { type: 'string', default: otherDefaults.trace },
      image: { type: 'string' },
      without: { type: 'string', default: '' },
      messages: { type: 'boolean', default: false },
      progress: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      ...Object.fromEntries(
        Object.keys(numberMeanings).map(name => [dashed(name), { type: 'string' as const }])
      )
    }
  })
  const given = values as unknown as Record<string, string | undefined>
  const numbers = Object.fromEntries(
    Object.keys(numberMeanings).flatMap(name => {
      const text = given[dashed(name)]
      return text === undefined ? [] : [[name, numberOf(name, text)]]
    })
  )
  return {
    lab: { ...labOf(numbers), mechanisms: mechanismsWithout(String(values.without)) },
    counts: String(values.agents)
      .split(',')
      .map(text => numberOf('agents', text)),
    workloads: String(values.workload).split(',').map(workloadOf),
    trace: values.trace === recordedBoot ? join(root, recordedBoot) : String(values.trace),
    image: given['image'],
    messages: values.messages === true,
    progress: values.progress === true,
    json: values.json === true
  }
}

/** The arguments that make of the defaults what `lab` is, but for its image. */
export function argumentsOf(lab: LabOptions): string {
  const value = (options: LabOptions, name: string): unknown =>
    Object.hasOwn(options.costs, name)
      ? options.costs[name as keyof Costs]
      : options[name as keyof LabOptions]
  const numbers = Object.keys(numberMeanings).filter(
    name => value(lab, name) !== value(defaultOptions, name)
  )
  const off = Object.keys(defaultMechanisms).filter(
    name => !lab.mechanisms[name as keyof Mechanisms]
  )
  return [
    `--agents ${lab.agents} --workload ${lab.workload}`,
    ...numbers.map(name => `--${dashed(name)} ${String(value(lab, name))}`),
    ...(off.length > 0 ? [`--without ${off.join(',')}`] : [])
  ].join(' ')
}

export function dashed(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function labOf(numbers: Record<string, number>): LabOptions {
  const isCost = (name: string): boolean => Object.hasOwn(defaultOptions.costs, name)
  const chosen = (wanted: (name: string) => boolean): Record<string, number> =>
    Object.fromEntries(Object.entries(numbers).filter(([name]) => wanted(name)))
  const costs = { ...defaultOptions.costs, ...chosen(isCost) }
  return { ...defaultOptions, ...chosen(name => !isCost(name)), costs }
}

/** All but those named, with commas between. */
function mechanismsWithout(text: string): Mechanisms {
  const off = text.split(',').filter(name => name !== '')
  const unknown = off.find(name => !Object.hasOwn(defaultMechanisms, name))
  if (unknown !== undefined) {
    throw new Error(`--without ${unknown} is none of ${Object.keys(defaultMechanisms).join(', ')}`)
  }
  return { ...defaultOptions.mechanisms, ...Object.fromEntries(off.map(name => [name, false])) }
}

function numberOf(name: string, text: string): number {
  const number = Number(text)
  if (text === '' || !Number.isFinite(number) || number < 0) {
    throw new Error(`--${dashed(name)} ${text} is no number`)
  }
  return number
}

function workloadOf(text: string): Workload {
  if (text === 'copy' || text === 'replay') return text
  throw new Error(`--workload ${text} is neither copy nor replay`)
}
