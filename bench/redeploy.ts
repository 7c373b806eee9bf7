import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { commandLine } from './command-line.ts'
import { seededRandom } from '../src/base/index.ts'
import { NbdClient, parseNbdAddress } from '../src/nbd/index.ts'

// What it costs to give a machine the next version of its image: debian-12, and the same with some
// packages added, as a loop mount and dpkg-deb put them there. The yardstick is the payload of the
// chunks that the store did not have before, which no machine can do without. Beside it: a machine
// whose own writes have to go, one whose disk is hashed since nothing is known of it, and an empty one.
//
//   node bench/redeploy.ts [--image FILE] [--packages 'htop strace'] [--rounds 3] [--json FILE]

const project = resolve(import.meta.dirname, '..')
const program = join(project, 'bin/bootswarm')
const run = promisify(execFile)
const target = 1.05

const values = commandLine(
  'What the next version of an image costs a machine (docs/disk-format.md)',
  {
    image: { type: 'string' },
    packages: { type: 'string', default: 'htop strace tcpdump nano rsync' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' }
  }
)

interface PrintedEvent {
  readonly event: string
  readonly [field: string]: unknown
}

interface Started {
  until(event: string): Promise<PrintedEvent>
  stop(): Promise<void>
}

const running = new Set<Started>()

function start(args: readonly string[]): Started {
  const child = spawn(program, [...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const seen: PrintedEvent[] = []
  const waiting = new Map<string, (event: PrintedEvent) => void>()
  createInterface({ input: child.stdout }).on('line', line => {
    const event = JSON.parse(line) as PrintedEvent
    seen.push(event)
    waiting.get(event.event)?.(event)
  })
  const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
  const started = {
    until: async (name: string) => {
      const known = seen.find(({ event }) => event === name)
      if (known !== undefined) return known
      const { promise, resolve } = Promise.withResolvers<PrintedEvent>()
      waiting.set(name, resolve)
      const died = ended.then(() => Promise.reject(new Error(`${args[0]} ended without ${name}`)))
      return Promise.race([promise, died])
    },
    stop: async () => {
      running.delete(started)
      child.kill('SIGTERM')
      await ended
    }
  }
  running.add(started)
  return started
}

/** A copy of the image with packages unpacked into its file system. */
async function makeNext(image: string, directory: string): Promise<string> {
  const next = join(directory, 'next.img')
  const debs = join(directory, 'debs')
  const mount = join(directory, 'mount')
  await run('cp', ['--sparse=always', image, next])
  for (const folder of [debs, mount]) await mkdir(folder)
  await run('apt-get', ['download', ...values.packages.split(' ')], { cwd: debs })
  await run('mount', ['-o', 'loop', next, mount])
  try {
    for (const deb of await readdir(debs)) await run('dpkg-deb', ['-x', join(debs, deb), mount])
  } finally {
    await run('umount', [mount])
  }
  return next
}

interface Imported {
  readonly newBytes: number
  readonly storedBytes: number
}

async function importImage(store: string, file: string): Promise<Imported> {
  const args = ['image', 'import', file, '--name', 'debian-12', '--store', store, '--json']
  const { stdout } = await run(program, args)
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Imported
}

function agentArgs(ticket: string, disk: string): string[] {
  const where = ['--disk', disk, '--nbd', `unix:${disk}.sock`]
  return ['agent', '--ticket', ticket, '--image', 'debian-12', '--name', 'bench', ...where]
}

/** A machine that has the first version; with `writes` it has written all over it. */
async function prepare(ticket: string, disk: string, writes: number): Promise<void> {
  const agent = start(agentArgs(ticket, disk))
  await agent.until('complete')
  const client = await NbdClient.connect(parseNbdAddress(`unix:${disk}.sock`))
  const random = seededRandom(1)
  for (let count = 0; count < writes; count++) {
    // In the first gigabyte, where the image has its files.
    await client.write(Math.floor(random.next() * 2 ** 18) * 4096, Buffer.alloc(4096, count))
  }
  await client.flush()
  await client.close()
  await agent.stop()
}

interface Case {
  readonly name: string
  readonly from: string | undefined
  readonly extra: readonly string[]
}

interface Outcome {
  readonly name: string
  readonly fetchedBytes: number
  readonly localBytes: number
  readonly readySeconds: number
  readonly completeSeconds: number
}

async function measure(ticket: string, directory: string, subject: Case): Promise<Outcome> {
  const disk = join(directory, 'subject.img')
  await run('sh', ['-c', `rm -f ${disk}*`])
  for (const end of subject.from === undefined ? [] : ['', '.bootswarm']) {
    await run('cp', ['--sparse=always', `${subject.from}${end}`, `${disk}${end}`])
  }
  const startedAt = performance.now()
  const agent = start([...agentArgs(ticket, disk), ...subject.extra])
  await agent.until('ready')
  const readySeconds = (performance.now() - startedAt) / 1000
  const complete = await agent.until('complete')
  await agent.stop()
  return {
    name: subject.name,
    fetchedBytes: Number(complete.bytesFromSeed) + Number(complete.bytesFromPeers),
    localBytes: Number(complete.bytesLocal),
    readySeconds,
    completeSeconds: Number(complete.seconds)
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

async function main(directory: string): Promise<void> {
  const image = values.image ?? join(directory, 'debian-12.img')
  if (values.image === undefined) await run(join(project, 'images/debian-12/build.sh'), [image])
  const next = await makeNext(image, directory)
  const store = join(directory, 'store')
  await importImage(store, image)
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  const seed = start(['seed', '--store', store, ...listen])
  await seed.until('ready')
  const ticket = (await run(program, ['ticket', '--store', store])).stdout.trim()
  const clean = join(directory, 'clean.img')
  const written = join(directory, 'written.img')
  await prepare(ticket, clean, 0)
  await prepare(ticket, written, 64)
  const { newBytes, storedBytes } = await importImage(store, next)

  const cases: Case[] = [
    { name: 'redeploy', from: clean, extra: ['--redeploy'] },
    { name: 'redeploy, 64 blocks written', from: written, extra: ['--redeploy'] },
    { name: 'redeploy --scan', from: clean, extra: ['--redeploy', '--scan'] },
    { name: 'empty disk', from: undefined, extra: [] }
  ]
  const outcomes: Outcome[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const subject of cases) outcomes.push(await measure(ticket, directory, subject))
  }
  await seed.stop()
  const rows = cases.map(({ name }) => {
    const mine = outcomes.filter(outcome => outcome.name === name)
    const of = (field: keyof Omit<Outcome, 'name'>): number => median(mine.map(one => one[field]))
    return {
      name,
      fetchedBytes: of('fetchedBytes'),
      ratio: of('fetchedBytes') / newBytes,
      localBytes: of('localBytes'),
      readySeconds: of('readySeconds'),
      completeSeconds: of('completeSeconds')
    }
  })
  print(newBytes, storedBytes, rows)
  if (values.json !== undefined) {
    const report = { packages: values.packages, newBytes, storedBytes, rows, outcomes }
    await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
  if ((rows[0]?.ratio ?? Infinity) > target) process.exitCode = 1
}

function print(
  newBytes: number,
  storedBytes: number,
  rows: readonly (Outcome & { readonly ratio: number })[]
): void {
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(2)
  console.log(`chunks that differ: ${mb(newBytes)} MB of ${mb(storedBytes)} MB; at most ${target}`)
  console.log('| machine | fetched MB | x differing | reused MB | ready s | complete s |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const row of rows) {
    const times = [row.readySeconds, row.completeSeconds].map(time => time.toFixed(1))
    const cells = [row.name, mb(row.fetchedBytes), row.ratio.toFixed(3), mb(row.localBytes)]
    console.log(`| ${[...cells, ...times].join(' | ')} |`)
  }
}

const directory = await mkdtemp(join(tmpdir(), 'bootswarm-redeploy-'))
try {
  await main(directory)
} finally {
  for (const process of running) await process.stop()
  await rm(directory, { recursive: true, force: true })
}
