import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { limits } from '../../src/base/index.ts'
import { encodeFrame, FrameEncoder } from '../../src/image/index.ts'
import { processTimes } from '../lab/processors.ts'
import { percentile, rounded } from '../lab/statistics.ts'

// The late joiner: a machine that comes when nobody has a frame any more. Whoever serves it reads plain
// bytes from its disk and compresses them again; beside it a machine that is served by a seed, whose
// frames rest on a disk: what a second level of the frame cache could give at best.

const program = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))
const rounds = Number(process.argv[2] ?? 3)
const imageMB = 192

interface Join {
  readonly seconds: number
  readonly serverCpuSeconds: number
  readonly frameMB: number
  readonly seedShare: number
}

const directory = await mkdtemp(join(tmpdir(), 'bootswarm-bench-late-'))
const children: ChildProcess[] = []
try {
  await main()
} finally {
  for (const child of children) child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
}
process.exit()

async function main(): Promise<void> {
  console.log(JSON.stringify(await compressionFigures()))
  if (rounds === 0) return
  const image = join(directory, 'image')
  await writeProgramText(image)
  const store = join(directory, 'store')
  await run('image', 'import', image, '--name', 'lab', '--store', store)
  const bySeed: Join[] = []
  const byAgent: Join[] = []
  for (let round = 0; round < rounds; round += 1) {
    const quick = await start('seed', 'ready', ...seedArguments(store))
    bySeed.push(await joined(store, `first${round}`, quick.child))
    await stop(quick.child)
    // Started again: its frames are gone. And the seed has a line that nobody waits for.
    const slow = await start('seed', 'ready', ...seedArguments(store), '--upload-rate', '64kB')
    const server = await start(
      'agent',
      'complete',
      ...(await agentArguments(store, `first${round}`))
    )
    byAgent.push(await joined(store, `late${round}`, server.child))
    await Promise.all([slow, server].map(({ child }) => stop(child)))
  }
  console.log(JSON.stringify({ bySeed: figures(bySeed), byAgent: figures(byAgent) }))
}

/** A machine joins and streams all of it; `server` is who it has it from. */
async function joined(store: string, name: string, server: ChildProcess): Promise<Join> {
  const options = await agentArguments(store, name)
  const before = processTimes(server.pid ?? -1)?.seconds ?? 0
  const begin = performance.now()
  const { child, event } = await start('agent', 'present', ...options)
  const seconds = (performance.now() - begin) / 1000
  const serverCpuSeconds = (processTimes(server.pid ?? -1)?.seconds ?? 0) - before
  await stop(child)
  const [fromSeed, fromPeers] = [Number(event.bytesFromSeed), Number(event.bytesFromPeers)]
  const frameBytes = fromSeed + fromPeers
  return { seconds, serverCpuSeconds, frameMB: frameBytes / 1e6, seedShare: fromSeed / frameBytes }
}

function figures(joins: readonly Join[]) {
  const median = (of: (join: Join) => number): number => percentile(joins.map(of), 0.5)
  return {
    seconds: median(join => join.seconds),
    plainMBPerSecond: median(join => imageMB / join.seconds),
    serverCpuSecondsPerPlainGB: median(join => (join.serverCpuSeconds / imageMB) * 1e3),
    frameMB: median(join => join.frameMB),
    seedShare: median(join => join.seedShare)
  }
}

/** What it costs to compress a chunk of program text, and what is left of it. */
async function compressionFigures() {
  const chunks = await programText(64)
  const encoder = new FrameEncoder()
  const ways = {
    kept: async (chunk: Buffer) => (await encodeFrame(chunk, 'kept')).bytes.length,
    fast: async (chunk: Buffer) => (await encodeFrame(chunk, 'fast')).bytes.length,
    thread: (chunk: Buffer) => encoder.encode(chunk, ({ bytes }) => bytes.length)
  }
  const measured: Record<string, { cpuMsPerChunk: number; bytesPerChunk: number }> = {}
  for (const [name, encode] of Object.entries(ways)) {
    const costs: number[] = []
    let bytes = 0
    // The first round starts the thread and fills the caches.
    for (let round = 0; round < 6; round += 1) {
      const begin = process.cpuUsage()
      bytes = 0
      for (const chunk of chunks) bytes += await encode(chunk)
      const { user, system } = process.cpuUsage(begin)
      if (round > 0) costs.push((user + system) / 1e3 / chunks.length)
    }
    const bytesPerChunk = Math.round(bytes / chunks.length)
    measured[name] = { cpuMsPerChunk: rounded(percentile(costs, 0.5), 2), bytesPerChunk }
  }
  await encoder.close()
  return measured
}

async function programText(count: number): Promise<Buffer[]> {
  const file = await open(process.execPath)
  try {
    const { size } = await file.stat()
    const chunks = Math.floor(size / limits.chunkBytesDefault)
    const picked = []
    for (let n = 0; n < count; n += 1) {
      const chunk = Buffer.alloc(limits.chunkBytesDefault)
      const at = Math.floor((n * chunks) / count) * limits.chunkBytesDefault
      await file.read(chunk, 0, chunk.length, at)
      // No two are alike, however often the program has to be gone through.
      chunk.writeUInt32BE(n, 0)
      picked.push(chunk)
    }
    return picked
  } finally {
    await file.close()
  }
}

async function writeProgramText(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const chunk of await programText((imageMB * 1e6) / limits.chunkBytesDefault)) {
      await file.write(chunk)
    }
  } finally {
    await file.close()
  }
}

function seedArguments(store: string): string[] {
  return ['--store', store, '--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
}

async function agentArguments(store: string, name: string): Promise<string[]> {
  const ticket = (await run('ticket', '--store', store)).trim()
  return [
    ...['--ticket', ticket, '--image', 'lab', '--name', name, '--disk', join(directory, name)],
    ...['--nbd', `unix:${join(directory, `${name}.sock`)}`, '--listen', '/ip4/127.0.0.1/tcp/0']
  ]
}

async function run(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args)
  return stdout
}

async function start(command: string, awaited: string, ...args: string[]) {
  const child = spawn(program, [command, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  children.push(child)
  const lines = createInterface(child.stdout)
  return { child, event: await heard(lines, awaited) }
}

async function heard(lines: Interface, awaited: string): Promise<Record<string, unknown>> {
  for await (const line of lines) {
    const event = JSON.parse(line) as Record<string, unknown>
    if (event.event === awaited) return event
  }
  throw new Error(`a process ended without '${awaited}'`)
}

async function stop(child: ChildProcess): Promise<void> {
  // Nobody reads what it says any more.
  child.stdout?.resume()
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
