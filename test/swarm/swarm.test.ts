import { multiaddr } from '@multiformats/multiaddr'
import test from 'ava'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import { issueCertificate } from '../../src/swarm/certificate.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import {
  encodeMessage,
  enrolProtocol,
  peerProtocol,
  protocolVersion,
  type Message
} from '../../src/swarm/wire.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { startPeer, until } from './peers.ts'
import { dialRaw, rawLink, startRawNode } from './raw-peer.ts'

const lab = generateSigningKey()
const agentCertificate = (peerId: string): Uint8Array =>
  issueCertificate(lab, { peerId, role: 'agent', name: 'pc' })

test('two peers of a lab know each other by their certificates', async t => {
  const seed = await startPeer(t, { lab, role: 'seed', name: 'admin' })
  const agent = await startPeer(t, { lab, name: 'pc-3' })
  const link = await agent.swarm.connect(seed.address)
  t.like(link.certificate, { role: 'seed', name: 'admin', peerId: seed.address.peerId })
  await until(() => seed.swarm.links().length === 1, 'the link at the seed')
  t.like(seed.swarm.link(agent.address.peerId)?.certificate, { role: 'agent', name: 'pc-3' })
  t.deepEqual(seed.swarm.addressOf(agent.address.peerId), agent.address)
  t.is(seed.swarm.addressOf('a stranger'), undefined)
  t.is(await agent.swarm.connect(seed.address), link)
  t.deepEqual(agent.history, [`peer ${seed.address.peerId}`])
})

test('an address without a peer id is dialled for that peer', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const { peerId, addresses } = b.address
  const bare = addresses.map(address => address.replace(/\/p2p\/.*$/, ''))
  const link = await a.swarm.connect({ peerId, addresses: ['nonsense', ...bare] })
  t.is(link.peerId, peerId)
  await rejectsWith(
    t,
    'ERR_PEER_PROTOCOL',
    a.swarm.connect({ peerId: peerIdOf(generateSigningKey()), addresses: ['nonsense'] })
  )
})

test('who answers at an address under another peer id is not let in', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const other = peerIdOf(generateSigningKey())
  await t.throwsAsync(a.swarm.connect({ peerId: other, addresses: b.address.addresses }))
  const bare = b.address.addresses.map(address => address.replace(/\/p2p\/.*$/, ''))
  await t.throwsAsync(a.swarm.connect({ peerId: other, addresses: bare }))
  t.deepEqual([a.swarm.links(), b.swarm.links()], [[], []])
})

test('who says anything before hello is cut off', async t => {
  const peer = await startPeer(t, { lab })
  const starts: Message[] = [
    { type: 'ping', nonce: 1 },
    { type: 'want', request: 1, class: 'urgent', insist: false, id: 'ab'.repeat(32) },
    { type: 'resolve', request: 1, name: 'debian' }
  ]
  for (const message of starts) {
    const raw = await dialRaw(await startRawNode(t), peer)
    raw.stream.send(encodeMessage(message))
    await until(raw.closed, `the end after ${message.type}`)
    t.true(raw.received.every(({ type }) => type === 'hello'))
  }
  t.deepEqual([peer.received, peer.history], [[], []])
})

test('bytes that are no messages end the link', async t => {
  const peer = await startPeer(t, { lab })
  const node = await startRawNode(t)
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(4),
    Buffer.alloc(9, 1)
  ]) {
    const raw = await dialRaw(node, peer)
    raw.stream.send(bytes)
    await until(raw.closed, 'the end')
  }
  t.deepEqual([peer.received, peer.history], [[], []])
})

test('who shows no certificate of its own from this lab is not let in', async t => {
  const peer = await startPeer(t, { lab })
  const otherLab = generateSigningKey()
  const foreign = (peerId: string) =>
    issueCertificate(otherLab, { peerId, role: 'seed', name: 'pc' })
  const stolen = agentCertificate(peer.address.peerId)
  for (const show of [foreign, () => stolen, () => new Uint8Array(), () => new Uint8Array(100)]) {
    const key = generateSigningKey()
    const raw = await dialRaw(await startRawNode(t, key), peer)
    const certificate = show(peerIdOf(key))
    const hello = { type: 'hello', version: protocolVersion, certificate, listen: [] } as const
    raw.stream.send(encodeMessage(hello))
    raw.stream.send(encodeMessage({ type: 'ping', nonce: 1 }))
    await until(raw.closed, 'the end')
  }
  t.deepEqual([peer.received, peer.history], [[], []])
})

test('peers of two labs do not meet, whoever dials', async t => {
  const ours = await startPeer(t, { lab })
  const theirs = await startPeer(t, { lab: generateSigningKey() })
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', ours.swarm.connect(theirs.address))
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', theirs.swarm.connect(ours.address))
  t.deepEqual([ours.history, theirs.history], [[], []])
})

test('a node without a certificate of its own meets nobody yet', async t => {
  const peer = await startPeer(t, { lab })
  const late = await startPeer(t, { lab, certificate: 'none' })
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', late.swarm.connect(peer.address))
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', peer.swarm.connect(late.address))
  late.swarm.certificate = agentCertificate(late.address.peerId)
  await t.notThrowsAsync(peer.swarm.connect(late.address))
})

test('who connects and says nothing is cut off, with a stream or without', async t => {
  const peer = await startPeer(t, { lab, enrol: () => new Uint8Array() })
  const node = await startRawNode(t)
  const silent = await dialRaw(node, peer)
  const address = multiaddr(peer.address.addresses[0] ?? '')
  const idle = await node.dial(address, { force: true })
  const enrolling = await node.dial(address, { force: true })
  await enrolling.newStream(enrolProtocol)
  const started = performance.now()
  await until(silent.closed, 'the end of the silent stream')
  await until(() => idle.status !== 'open', 'the end of the idle connection')
  await until(() => enrolling.status !== 'open', 'the end of the idle enrolment')
  t.true(performance.now() - started >= limits.helloMs / 2)
  t.deepEqual(peer.history, [])
})

test('a peer of another protocol version is not let in, and the error says who is older', async t => {
  for (const [version, older] of [
    [protocolVersion + 1, /upgrade this machine/],
    [protocolVersion - 1, /upgrade that peer/]
  ] as const) {
    const peer = await startPeer(t, { lab })
    const key = generateSigningKey()
    const node = await startRawNode(t, key, ['/ip4/127.0.0.1/tcp/0'])
    await node.handle(peerProtocol, (stream, connection) => {
      const hello = { type: 'hello', version, certificate: new Uint8Array(), listen: [] } as const
      rawLink(connection, stream).stream.send(encodeMessage(hello))
    })
    const addresses = node.getMultiaddrs().map(address => address.toString())
    const dial = peer.swarm.connect({ peerId: peerIdOf(key), addresses })
    const error = await rejectsWith(t, 'ERR_FORMAT_VERSION', dial)
    t.regex(error.message, older)
  }
})

test('dials that cross leave one link, the same on both sides', async t => {
  for (const delayMs of [0, 0, 2, 5, 10]) {
    const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
    const dials = [a.swarm.connect(b.address)]
    if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
    dials.push(b.swarm.connect(a.address))
    await Promise.all(dials)
    const both = [a, b]
    // Messages over the link that is not kept may be lost; over the one that is kept they all come.
    await until(() => {
      for (const link of both.flatMap(({ swarm }) => swarm.links())) {
        link.send({ type: 'ping', nonce: 1 })
      }
      return both.every(({ received }) => received.length >= 5)
    }, 'some messages each')
    t.deepEqual(
      both.map(({ swarm }) => swarm.links().length),
      [1, 1]
    )
    for (const { history } of both) {
      t.true(['peer', 'peer gone peer'].includes(history.map(line => line.slice(0, 4)).join(' ')))
    }
    t.not(
      a.swarm.links()[0]?.dialed,
      b.swarm.links()[0]?.dialed,
      'both keep the link that one of them dialled'
    )
  }
})

test('a dial that is under way is joined', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const [first, second] = await Promise.all([
    a.swarm.connect(b.address),
    a.swarm.connect(b.address)
  ])
  t.is(first, second)
  t.deepEqual(a.history, [`peer ${b.address.peerId}`])
})

test('a peer that was killed is missed, and met again when it is back', async t => {
  const key = generateSigningKey()
  const peerId = peerIdOf(key)
  const staying = await startPeer(t, { lab })
  const first = await startPeer(t, { lab, key })
  await first.swarm.connect(staying.address)
  await until(() => staying.swarm.links().length === 1, 'the link')
  await first.swarm.stop()
  await until(() => staying.swarm.links().length === 0, 'the end of the link')
  const second = await startPeer(t, { lab, key })
  await second.swarm.connect(staying.address)
  await until(() => staying.swarm.links().length === 1, 'the new link')
  t.deepEqual(staying.history, [`peer ${peerId}`, `gone ${peerId}`, `peer ${peerId}`])
})

test('of two links that one side dialled the newer counts, since it may have been restarted', async t => {
  const peer = await startPeer(t, { lab })
  const key = generateSigningKey()
  const peerId = peerIdOf(key)
  const node = await startRawNode(t, key)
  const certificate = agentCertificate(peerId)
  const hello = { type: 'hello', version: protocolVersion, certificate, listen: [] } as const
  const older = await dialRaw(node, peer)
  older.stream.send(encodeMessage(hello))
  await until(() => peer.history.length === 1, 'the older link')
  const newer = await dialRaw(node, peer)
  newer.stream.send(encodeMessage(hello))
  await until(older.closed, 'the end of the older link')
  newer.stream.send(encodeMessage({ type: 'ping', nonce: 3 }))
  await until(() => peer.received.length === 1, 'a message over the newer link')
  t.deepEqual(peer.history, [`peer ${peerId}`, `gone ${peerId}`, `peer ${peerId}`])
  t.is(peer.swarm.links().length, 1)
})

test('a peer that breaks the protocol later is cut off, others are not', async t => {
  const peer = await startPeer(t, { lab })
  const other = await startPeer(t, { lab })
  await other.swarm.connect(peer.address)
  const key = generateSigningKey()
  const raw = await dialRaw(await startRawNode(t, key), peer)
  const certificate = agentCertificate(peerIdOf(key))
  raw.stream.send(
    encodeMessage({ type: 'hello', version: protocolVersion, certificate, listen: [] })
  )
  await until(() => peer.swarm.links().length === 2, 'both links')
  raw.stream.send(Buffer.alloc(4, 0xff))
  await until(raw.closed, 'the end of the link')
  t.deepEqual(
    peer.swarm.links().map(({ peerId }) => peerId),
    [other.address.peerId]
  )
  t.is(peer.history.at(-1), `gone ${peerIdOf(key)}`)
})

test('a swarm that stops tells its peers', async t => {
  const [a, b] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  await a.swarm.connect(b.address)
  await until(() => b.swarm.links().length === 1, 'the link')
  await a.swarm.stop()
  await until(() => b.swarm.links().length === 0, 'the end of the link')
  await t.throwsAsync(b.swarm.connect(a.address))
})
