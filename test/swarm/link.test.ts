import test, { type ExecutionContext } from 'ava'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import { issueCertificate } from '../../src/swarm/certificate.ts'
import type { Link } from '../../src/swarm/link.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import { encodeMessage, protocolVersion, type Message } from '../../src/swarm/wire.ts'
import { joinSegments } from './messages.ts'
import { startPeer, until } from './peers.ts'
import { dialRaw, startRawNode } from './raw-peer.ts'

const lab = generateSigningKey()

function segmentBytes(messages: readonly Message[]): number {
  return messages.reduce(
    (sum, message) => sum + (message.type === 'segment' ? message.bytes.length : 0),
    0
  )
}

test('messages and segments arrive in the order in which they were sent', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const link = await a.swarm.connect(b.address)
  const bytes = Buffer.alloc(limits.segmentBytes, 'segment')
  for (let nonce = 0; nonce < 100; nonce += 1) {
    link.send({ type: 'ping', nonce })
    link.sendSegment(nonce, bytes)
  }
  await until(() => segmentBytes(b.received) === 100 * bytes.length, 'all messages')
  const received = joinSegments(b.received)
  t.is(received.length, 200)
  for (let nonce = 0; nonce < 100; nonce += 1) {
    t.deepEqual(received[2 * nonce], { type: 'ping', nonce })
    t.like(received[2 * nonce + 1], { type: 'segment', request: nonce })
  }
})

test('a link that is full says so, and says when it has room again', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const link = await a.swarm.connect(b.address)
  let drained = 0
  a.onWritable = () => (drained += 1)
  const bytes = Buffer.alloc(limits.segmentBytes)
  let sent = 0
  while (link.writable && sent < 10_000) {
    link.sendSegment(1, bytes)
    sent += 1
  }
  t.false(link.writable)
  await until(() => drained > 0, 'room')
  t.true(link.writable)
  await until(() => segmentBytes(b.received) === sent * bytes.length, 'what was sent')
})

/** A raw peer that has been let in; `hello` is added to what it says of itself. */
async function rawGuest(t: ExecutionContext, hello: { lists?: boolean }) {
  const peer = await startPeer(t, { lab })
  const key = generateSigningKey()
  const peerId = peerIdOf(key)
  const raw = await dialRaw(await startRawNode(t, key), peer)
  const certificate = issueCertificate(lab, { peerId, role: 'agent', name: 'pc' })
  const about = { version: protocolVersion, certificate, listen: [], ...hello }
  raw.stream.send(encodeMessage({ type: 'hello', ...about }))
  await until(() => peer.swarm.link(peerId) !== undefined, 'the link')
  return { peer, raw, link: peer.swarm.link(peerId) as Link }
}

test('a peer that takes no messages is cut off', async t => {
  const { peer, raw, link } = await rawGuest(t, {})
  raw.stream.pause()
  const bits = new Uint8Array(64 * 1024)
  const closed = (): boolean => link.closed
  for (let sent = 0; sent < 10_000 && !closed(); sent += 1) {
    link.send({ type: 'have-map', imageId: 'ab'.repeat(32), first: 0, bits })
    if (sent % 16 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  t.true(closed())
  t.deepEqual(peer.history, [`peer ${link.peerId}`, `gone ${link.peerId}`])
})

const wantOf = (request: number) =>
  ({ type: 'want', request, class: 'prefetch', insist: false, id: 'ab'.repeat(32) }) as const

test('wants of one turn are one message to a peer that takes lists, and of two turns two', async t => {
  const { raw, link } = await rawGuest(t, { lists: true })
  link.sendAll([wantOf(1), wantOf(2), wantOf(3)])
  await until(() => raw.received.length === 4, 'the first three')
  link.sendAll([wantOf(4), { type: 'ping', nonce: 1 }])
  await until(() => raw.received.length === 6, 'the others')
  t.deepEqual(
    raw.whole.map(({ type }) => type),
    ['hello', 'wants', 'want', 'ping']
  )
  t.deepEqual(raw.received.slice(1), [...[1, 2, 3, 4].map(wantOf), { type: 'ping', nonce: 1 }])
})

test('what was wanted before a segment does not stand behind it, and goes out before an end', async t => {
  const { raw, link } = await rawGuest(t, { lists: true })
  link.sendAll([wantOf(1), wantOf(2)])
  link.sendSegment(9, Buffer.alloc(100))
  link.sendAll([wantOf(3), wantOf(4)])
  link.close()
  await until(() => raw.closed(), 'the end')
  t.deepEqual(
    raw.whole.map(({ type }) => type),
    ['hello', 'wants', 'segment', 'wants']
  )
})

test('a peer that does not say that it takes lists gets none', async t => {
  const { raw, link } = await rawGuest(t, {})
  link.sendAll([wantOf(1), wantOf(2)])
  await until(() => raw.received.length === 3, 'both')
  t.deepEqual(raw.whole.slice(1), [wantOf(1), wantOf(2)])
})

test('a list is heard as the messages that it was made of', async t => {
  const { peer, raw } = await rawGuest(t, {})
  const wants = [wantOf(1), wantOf(2)]
  raw.stream.send(encodeMessage({ type: 'wants', wants }))
  await until(() => peer.received.length === 2, 'both')
  t.deepEqual(peer.received, wants)
})

test('after its end a link takes messages and does nothing with them', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const link = await a.swarm.connect(b.address)
  await until(() => b.swarm.links().length === 1, 'the link at the other side')
  link.close()
  t.true(link.closed)
  t.false(link.writable)
  t.notThrows(() => {
    link.send({ type: 'ping', nonce: 1 })
    link.sendSegment(1, new Uint8Array(1))
    link.close()
  })
  await until(() => b.history.length === 2, 'the end at the other side')
  t.deepEqual(b.received, [])
  t.deepEqual(a.history, [`peer ${b.address.peerId}`, `gone ${b.address.peerId}`])
  t.deepEqual(b.history, [`peer ${a.address.peerId}`, `gone ${a.address.peerId}`])
})
