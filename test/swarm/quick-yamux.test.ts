import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import test, { type ExecutionContext } from 'ava'
import { createLibp2p } from 'libp2p'
import { limits } from '../../src/base/index.ts'
import { blocks } from '../../src/swarm/block-pool.ts'
import { quickStream, type QuickStream } from '../../src/swarm/quick-yamux.ts'
import { nativeTls } from '../../src/swarm/tls/encrypter.ts'
import { yamuxHeadBytes } from '../../src/swarm/yamux-reader.ts'
import { projectRoot } from '../helpers/process.ts'
import { until } from './peers.ts'
import { startRawNode } from './raw-peer.ts'
import { anyPort, startNoiseNode, streamPair } from './tls/tls-peers.ts'

// The short way of a link's bytes, past what @chainsafe/libp2p-yamux does with a frame.

test('@chainsafe/libp2p-yamux is the version that quick-yamux.ts was written for', async t => {
  const installed = `${projectRoot}/node_modules/@chainsafe/libp2p-yamux/package.json`
  const { version } = JSON.parse(await readFile(installed, 'utf8')) as { version: string }
  t.is(version, '8.0.1', 'read how this version holds its windows, then change this line')
})

async function drained(stream: Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => reject(new Error('the stream has ended')), {
      once: true
    })
  })
}

function shortWay(stream: Stream): QuickStream {
  const quick = quickStream(stream)
  if (quick === undefined) throw new Error('the stream has no short way')
  return quick
}

/** Random blocks of random sizes, small ones among them, the short way where it is open; gives their hash. */
async function sendBlocks(t: ExecutionContext, stream: Stream, total: number): Promise<string> {
  const quick = shortWay(stream)
  const hash = createHash('sha256')
  let wentShort = 0
  for (let left = total, n = 0; left > 0; n += 1) {
    const length = Math.min(left, n % 3 === 0 ? 100 : limits.writeBlockBytes - yamuxHeadBytes)
    const payload = randomBytes(length)
    hash.update(payload)
    left -= length
    const block = blocks.take()
    payload.copy(block, yamuxHeadBytes)
    const canSendMore = quick.send(block, yamuxHeadBytes + length)
    if (canSendMore !== undefined) wentShort += 1
    if (!(canSendMore ?? stream.send(payload))) await drained(stream)
  }
  t.true(wentShort > 0)
  return hash.digest('hex')
}

/** Takes the short way and reads as a link does: the window is opened for what was taken. */
function receive(stream: Stream) {
  const quick = shortWay(stream)
  const paced = stream as Stream & { sendPause(): void; sendResume(): void }
  const hash = createHash('sha256')
  const counted = { short: 0, long: 0 }
  const take = (bytes: Uint8Array): void => {
    hash.update(bytes)
    paced.sendResume()
    paced.sendPause()
  }
  quick.takeDirectly(bytes => {
    counted.short += bytes.length
    take(bytes)
  })
  stream.addEventListener('message', ({ data }) => {
    counted.long += data.byteLength
    for (const piece of data instanceof Uint8Array ? [data] : data) take(piece)
  })
  return { counted, digest: () => hash.digest('hex') }
}

test('what goes the short way, and the long way between, arrives in its order', async t => {
  const { dialed, answered } = await streamPair(t)
  const total = 20_000_000
  const [there, back] = [receive(answered), receive(dialed)]
  const [sent, answer] = await Promise.all([
    sendBlocks(t, dialed, total),
    sendBlocks(t, answered, total)
  ])
  for (const { counted } of [there, back]) {
    await until(() => counted.short + counted.long === total, 'all bytes')
    t.true(counted.short > 0)
  }
  t.is(there.digest(), sent)
  t.is(back.digest(), answer)
})

test('nothing is lost or overtaken when a receiver pauses in the middle', async t => {
  const { dialed, answered } = await streamPair(t)
  const total = 5_000_000
  const there = receive(answered)
  const sending = sendBlocks(t, dialed, total)
  for (let rest = 0; rest < 20; rest += 1) {
    answered.pause()
    await new Promise(resolve => setTimeout(resolve, 2))
    answered.resume()
    await new Promise(resolve => setImmediate(resolve))
  }
  const sent = await sending
  const { counted } = there
  await until(() => counted.short + counted.long === total, 'all bytes')
  t.is(there.digest(), sent)
})

test('a plain yamux at the other end understands it, over TLS and over noise', async t => {
  const plain = await createLibp2p({
    addresses: { listen: [anyPort] },
    transports: [tcp()],
    connectionEncrypters: [nativeTls()],
    streamMuxers: [yamux()]
  })
  t.teardown(() => plain.stop())
  for (const server of [plain, await startNoiseNode(t, [anyPort])]) {
    const { dialed, answered } = await streamPair(t, { server })
    const there = createHash('sha256')
    let [arrived, sent] = [0, 0]
    answered.addEventListener('message', ({ data }) => {
      there.update(data.subarray())
      arrived += data.byteLength
    })
    const [back, wanted, all] = [receive(dialed), createHash('sha256'), randomBytes(3_000_000)]
    for (const step = 50_000; sent < all.length; sent += step) {
      const piece = all.subarray(sent, sent + step)
      wanted.update(piece)
      const block = blocks.take()
      piece.copy(block, yamuxHeadBytes)
      const more = shortWay(dialed).send(block, yamuxHeadBytes + piece.length)
      if (!(more ?? dialed.send(piece))) await drained(dialed)
    }
    await until(() => arrived === all.length, 'what was sent')
    t.is(there.digest('hex'), wanted.digest('hex'))
    answered.send(all)
    await until(() => back.counted.short + back.counted.long === all.length, 'the answer')
    t.is(back.digest(), createHash('sha256').update(all).digest('hex'))
  }
})

test('a peer that sends more than its window allows is cut off, and so is a frame without end', async t => {
  for (const length of [300_000, 0xffff_ffff]) {
    const server = await startRawNode(t, undefined, [anyPort])
    const { connection, dialed, answered } = await streamPair(t, { server })
    receive(answered)
    const head = Buffer.alloc(yamuxHeadBytes)
    head.writeUInt32BE(Number(dialed.id), 4)
    head.writeUInt32BE(length, 8)
    const { maConn } = connection as unknown as { maConn: Stream }
    maConn.send(head)
    await until(() => server.getConnections().length === 0, 'the end')
    await until(() => connection.status !== 'open', 'the end at the other side')
  }
  t.pass()
})
