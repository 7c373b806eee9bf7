import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { newIdentity } from '../../src/agent/identity.ts'
import { ImageFinder } from '../../src/agent/image-finder.ts'
import { Membership } from '../../src/agent/membership.ts'
import { Peering, type PeeringSession } from '../../src/agent/peering.ts'
import { RelayCache } from '../../src/agent/relay-cache.ts'
import { silentLogger, type ChunkId } from '../../src/base/index.ts'
import { chunkIdOf } from '../../src/image/index.ts'
import { NbdClient, parseNbdAddress } from '../../src/nbd/index.ts'
import { decodeTicket, type Link } from '../../src/swarm/index.ts'
import { percentile } from '../lab/statistics.ts'

// What NBD and the scheduler add to an urgent read of one missing chunk: every other chunk is asked for
// plainly, over a link of our own to the same seed, and its hash is checked in both cases.

const program = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))
const chunkBytes = 128 * 1024
const chunkCount = 400
const warmUp = 20

const directory = await mkdtemp(join(tmpdir(), 'bootswarm-bench-urgent-'))
const children: ChildProcess[] = []
try {
  await main()
} finally {
  for (const child of children) child.kill()
  await rm(directory, { recursive: true, force: true })
}
process.exit()

async function main(): Promise<void> {
  // Half of each chunk compresses, so that there is something to decompress.
  const chunks = Array.from({ length: chunkCount }, () =>
    Buffer.concat([randomBytes(chunkBytes / 2), Buffer.alloc(chunkBytes / 2, 'lab ')])
  )
  const store = join(directory, 'store')
  await writeFile(join(directory, 'image'), Buffer.concat(chunks))
  await run('image', 'import', join(directory, 'image'), '--name', 'lab', '--store', store)
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
  await ready('seed', '--store', store, '--http', '127.0.0.1:0', ...listen)
  const ticket = (await run('ticket', '--store', store)).trim()
  const socket = `unix:${join(directory, 'nbd.sock')}`
  await ready('export', 'lab', '--ticket', ticket, '--nbd', socket, ...listen)
  const client = await NbdClient.connect(parseNbdAddress(socket))
  const ask = await plainRequests(ticket)

  const plain: number[] = []
  const byNbd: number[] = []
  for (const [position, bytes] of chunks.entries()) {
    // Each chunk is asked for once: of one that it has given away a seed says who has it.
    if (position % 2 === 0) plain.push(await timed(() => ask(chunkIdOf(bytes))))
    else byNbd.push(await timed(() => client.read(position * chunkBytes, chunkBytes)))
  }
  const median = (times: number[]): number => percentile(times.slice(warmUp), 0.5)
  const figures = {
    plainMs: median(plain),
    nbdMs: median(byNbd),
    addedMs: median(byNbd) - median(plain)
  }
  console.log(JSON.stringify(figures))
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Asks the seed for chunks one by one; resolves when they are decoded and their hash is right. */
async function plainRequests(text: string): Promise<(id: ChunkId) => Promise<void>> {
  const ticket = decodeTicket(text)
  const { key, certificate, peers } = newIdentity()
  const peering: Peering = await Peering.start({
    key,
    labKey: ticket.labKey,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    relay: new RelayCache(),
    logger: silentLogger,
    keeps: () => true,
    onPeers: () => {}
  })
  const membership = new Membership({
    swarm: peering.swarm,
    ticket,
    name: 'bench',
    logger: silentLogger,
    certificate,
    peers,
    onCertified: () => {},
    onNeighbour: () => {},
    onAlone: () => {}
  })
  void membership.run()
  const { labKey } = ticket
  const finder = new ImageFinder({ peering, labKey, image: 'lab', seedCount: 1 })
  await finder.find(AbortSignal.timeout(30_000))
  let arrived: (() => void) | undefined
  const link = (): Link =>
    peering.swarm.links().find(each => each.certificate?.role === 'seed') as Link
  const ignore = (): void => {}
  const request = (id: ChunkId): void => {
    peering.downloads.request(link(), id, 'urgent', { insist: true, plainLengthMax: chunkBytes })
  }
  const session: PeeringSession = {
    onPeer: ignore,
    onGone: ignore,
    onHeard: ignore,
    onBanned: ignore,
    onAwaited: ignore,
    onExchange: ignore,
    onRelease: ignore,
    onAccepted: ignore,
    onProgress: ignore,
    onRefused: (_link, id) => request(id),
    onRedirected: (_link, id) => request(id),
    onCorrupt: ignore,
    onArrived: () => arrived?.(),
    holding: () => 'absent',
    load: () => Promise.resolve(undefined)
  }
  peering.session = session
  return id =>
    new Promise(resolve => {
      arrived = resolve
      request(id)
    })
}

async function run(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args)
  return stdout
}

async function ready(...args: string[]): Promise<void> {
  const child = spawn(program, [...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(createInterface(child.stdout), 'line')
}
