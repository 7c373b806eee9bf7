import test, { type ExecutionContext } from 'ava'
import {
  generateSigningKey,
  limits,
  silentLogger,
  type ChunkId,
  type Frame,
  type ServeDecision,
  type Want
} from '../../src/base/index.ts'
import { chunkIdOf, encodeFrame, plainFrame } from '../../src/image/index.ts'
import { Downloads } from '../../src/swarm/downloads.ts'
import type { Link } from '../../src/swarm/link.ts'
import { Uploads } from '../../src/swarm/uploads.ts'
import type { Message } from '../../src/swarm/wire.ts'
import { bulkNoise } from '../helpers/image-files.ts'
import { startPeer, until, type TestPeer } from './peers.ts'

// Uploads of one real node and downloads of another, over libp2p on loopback.

const lab = generateSigningKey()

interface Asker {
  readonly downloads: Downloads
  readonly link: Link
  readonly arrived: ChunkId[]
  readonly told: string[]
  readonly plains: Map<ChunkId, Uint8Array>
  /** Asked for and neither here nor turned away. */
  readonly open: Set<ChunkId>
  ask(id: ChunkId, requestClass?: 'urgent' | 'prefetch' | 'background'): void
}

/** A node that serves `frames`, as `decide` says. */
async function startServer(
  t: ExecutionContext,
  frames: ReadonlyMap<ChunkId, Frame>,
  decide: (want: Want) => ServeDecision = () => ({ kind: 'send' })
): Promise<TestPeer> {
  const server = await startPeer(t, { lab, role: 'seed' })
  const uploads = new Uploads({
    policy: { decide, sent: () => {}, dropped: () => {}, holds: () => {}, gone: () => {} },
    source: {
      holding: id => (frames.has(id) ? 'held' : 'absent'),
      load: async id => frames.get(id)
    },
    clock: { now: () => performance.now() },
    logger: silentLogger,
    addressOf: peerId => ({ peerId, addresses: ['/ip4/10.0.0.1/tcp/1'] })
  })
  server.onMessage = (link, message) => {
    if (message.type === 'want') uploads.want(link, message)
    if (message.type === 'cancel') uploads.cancel(link, message.request)
  }
  server.onWritable = () => uploads.writable()
  server.onGone = link => uploads.gone(link)
  return server
}

async function startAsker(t: ExecutionContext, server: TestPeer): Promise<Asker> {
  const peer = await startPeer(t, { lab })
  const arrived: ChunkId[] = []
  const told: string[] = []
  const plains = new Map<ChunkId, Uint8Array>()
  const open = new Set<ChunkId>()
  const ended = (id: ChunkId, line: string): void => {
    open.delete(id)
    told.push(`${line} ${id}`)
  }
  const downloads = new Downloads({
    onAccepted: (_, id) => told.push(`accepted ${id}`),
    onProgress: () => {},
    onRefused: (_, id, reason) => ended(id, reason),
    onRedirected: (_, id, to) => ended(id, `to ${to[0]?.peerId}`),
    onArrived(_, id, plain) {
      open.delete(id)
      arrived.push(id)
      plains.set(id, Buffer.from(plain))
    },
    onCorrupt: (_, id, error) => ended(id, error.code)
  })
  peer.onMessage = (link, message) => {
    if (isAnswer(message)) downloads.receive(link, message)
  }
  peer.onGone = link => downloads.gone(link)
  const link = await peer.swarm.connect(server.address)
  return {
    downloads,
    link,
    arrived,
    told,
    plains,
    open,
    ask(id, requestClass = 'background') {
      open.add(id)
      const options = { insist: false, plainLengthMax: limits.chunkBytesMax }
      downloads.request(link, id, requestClass, options)
    }
  }
}

type Answer = Parameters<Downloads['receive']>[1]
const isAnswer = (message: Message): message is Answer =>
  ['accept', 'frame', 'segment', 'refuse', 'redirect'].includes(message.type)

function noiseFrames(count: number, length: number): Map<ChunkId, Frame> {
  const bytes = bulkNoise(count * length, 1)
  return new Map(
    Array.from({ length: count }, (_, n) => {
      const plain = bytes.subarray(n * length, (n + 1) * length)
      return [chunkIdOf(plain), plainFrame(plain)]
    })
  )
}

test('many chunks in flight arrive intact, compressed and plain', async t => {
  const frames = noiseFrames(100, 65_536)
  for (let n = 0; n < 100; n += 1) {
    const plain = Buffer.alloc(100_000, `all machines share the load ${n}. `)
    frames.set(chunkIdOf(plain), await encodeFrame(plain))
  }
  const asker = await startAsker(t, await startServer(t, frames))
  for (const id of frames.keys()) asker.ask(id)
  t.is(asker.downloads.count, 200)
  await until(() => asker.arrived.length === 200, 'all chunks')
  for (const [id, plain] of asker.plains) t.is(chunkIdOf(plain), id)
  t.is(asker.downloads.count, 0)
  t.is(asker.told.length, 200)
})

test('an urgent chunk overtakes the background that was asked for before it', async t => {
  const frames = noiseFrames(128, 256 * 1024)
  const asker = await startAsker(t, await startServer(t, frames))
  const ids = [...frames.keys()]
  const urgent = ids.at(-1) ?? ''
  for (const id of ids.slice(0, -1)) asker.ask(id)
  asker.ask(urgent, 'urgent')
  await until(() => asker.arrived.includes(urgent), 'the urgent chunk')
  // A few may be on their way in sockets already; 32 MiB are not.
  t.true(asker.arrived.indexOf(urgent) < 64, `${asker.arrived.indexOf(urgent)} came before it`)
})

test('raised to urgent, a chunk overtakes the others', async t => {
  const frames = noiseFrames(128, 256 * 1024)
  const asker = await startAsker(t, await startServer(t, frames))
  const ids = [...frames.keys()]
  for (const id of ids) asker.ask(id)
  const last = ids.at(-1) ?? ''
  asker.ask(last, 'urgent')
  await until(() => asker.arrived.includes(last), 'the raised chunk')
  t.true(asker.arrived.indexOf(last) < 64, `${asker.arrived.indexOf(last)} came before it`)
})

test('classes may change at any time, even as the last bytes come, and the link stays', async t => {
  const frames = noiseFrames(60, 16_384)
  const decide = ({ id }: Want): ServeDecision =>
    id < '4' ? { kind: 'refuse', reason: 'busy' } : { kind: 'send' }
  const asker = await startAsker(t, await startServer(t, frames, decide))
  for (const id of frames.keys()) asker.ask(id)
  for (let round = 0; asker.open.size > 0 && !asker.link.closed; round += 1) {
    for (const id of asker.open) asker.ask(id, round % 2 === 0 ? 'urgent' : 'prefetch')
    await new Promise(resolve => setImmediate(resolve))
  }
  t.false(asker.link.closed)
  t.true([...frames.keys()].every(id => id < '4' || asker.plains.has(id)))
})

test('chunks cancelled in flight do not come, the others do', async t => {
  const frames = noiseFrames(64, 131_072)
  const asker = await startAsker(t, await startServer(t, frames))
  const ids = [...frames.keys()]
  for (const id of ids) asker.ask(id)
  await until(() => asker.arrived.length > 0, 'the first chunk')
  const cancelled = ids.filter((id, n) => n % 2 === 1 && !asker.plains.has(id))
  const open = asker.downloads.count
  for (const id of cancelled) asker.downloads.cancel(asker.link, id)
  t.true(open > asker.downloads.count)
  const kept = ids.filter(id => !cancelled.includes(id))
  await until(() => kept.every(id => asker.plains.has(id)), 'those that were kept')
  t.false(asker.link.closed)
  // Whatever was cancelled can be asked for again over the same link.
  for (const id of cancelled) asker.ask(id, 'urgent')
  await until(() => asker.plains.size === 64, 'those that were asked for again')
  t.false(asker.link.closed)
})

test('a refusal and a redirect reach the asker', async t => {
  const decisions: ServeDecision[] = [
    { kind: 'refuse', reason: 'not-held' },
    { kind: 'refuse', reason: 'busy' },
    { kind: 'redirect', to: ['peer-b'] }
  ]
  let asked = 0
  const decide = (): ServeDecision => decisions[asked++] ?? { kind: 'send' }
  const asker = await startAsker(t, await startServer(t, new Map(), decide))
  const ids = [1, 2, 3].map(n => chunkIdOf(Buffer.of(n)))
  for (const id of ids) asker.ask(id)
  await until(() => asker.told.length === 3, 'three answers')
  t.deepEqual(asker.told, [`not-held ${ids[0]}`, `busy ${ids[1]}`, `to peer-b ${ids[2]}`])
})

test('bytes that are not the chunk are told to the asker, the link is its to judge', async t => {
  const id = chunkIdOf(Buffer.from('what was asked for'))
  const frames = new Map([[id, plainFrame(Buffer.from('something else'))]])
  const asker = await startAsker(t, await startServer(t, frames))
  asker.ask(id)
  await until(() => asker.told.length === 2, 'the answer')
  t.is(asker.told[1], `ERR_CHUNK_CORRUPT ${id}`)
  t.false(asker.link.closed)
})

test('a peer that sends what it may not is cut off at once', async t => {
  const tooLong = limits.chunkBytesMax + 1
  const bytes = new Uint8Array(10)
  const encoding = 'plain' as const
  const violations: Message[][] = [
    [{ type: 'segment', request: 77, bytes }],
    [{ type: 'segment', request: 1, bytes }],
    [{ type: 'frame', request: 1, encoding, frameLength: tooLong, plainLength: tooLong }],
    [
      { type: 'frame', request: 1, encoding, frameLength: 9, plainLength: 9 },
      { type: 'segment', request: 1, bytes }
    ]
  ]
  const server = await startPeer(t, { lab, role: 'seed' })
  let violation: Message[] = []
  server.onMessage = link => {
    for (const message of violation) link.send(message)
  }
  for (const messages of violations) {
    violation = messages
    const asker = await startAsker(t, server)
    asker.ask(chunkIdOf(Buffer.of(1)))
    await until(() => asker.link.closed, `the end of the link after ${messages[0]?.type}`)
    t.is(asker.downloads.count, 0)
  }
  await until(() => server.swarm.links().length === 0, 'the end of the links at the server')
})

test('a peer with more requests than it may have open is cut off', async t => {
  const server = await startServer(t, new Map(), () => ({ kind: 'wait' }))
  const [greedy, other] = [await startAsker(t, server), await startAsker(t, server)]
  for (let n = 0; n < limits.requestsPerPeerMax; n += 1) greedy.ask(chunkIdOf(Buffer.of(n, 1)))
  const accepted = (): number => greedy.told.filter(line => line.startsWith('accepted')).length
  await until(() => accepted() === limits.requestsPerPeerMax, 'as many as there may be')
  t.false(greedy.link.closed)
  greedy.ask(chunkIdOf(Buffer.of(1, 2, 3)))
  await until(() => greedy.link.closed, 'the end of the link')
  other.ask(chunkIdOf(Buffer.of(1)))
  await until(() => other.told.length === 1, 'an answer to the other peer')
  t.false(other.link.closed)
})
