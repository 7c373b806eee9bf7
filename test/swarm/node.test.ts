import test from 'ava'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import { peerIdOf, startNode } from '../../src/swarm/node.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { until } from './peers.ts'
import { startRawNode } from './raw-peer.ts'

const anyPort = '/ip4/127.0.0.1/tcp/0'

test('a node is known by the peer id of its key', async t => {
  const key = generateSigningKey()
  const node = await startRawNode(t, key, [anyPort])
  t.is(node.peerId.toString(), peerIdOf(key))
  t.regex(peerIdOf(key), /^12D3KooW/)
  t.not(peerIdOf(generateSigningKey()), peerIdOf(key))
})

test('an address that another process listens on is said', async t => {
  const node = await startRawNode(t, undefined, [anyPort])
  const taken =
    node
      .getMultiaddrs()[0]
      ?.toString()
      .replace(/\/p2p\/.*$/, '') ?? ''
  await rejectsWith(t, 'ERR_ADDRESS_IN_USE', startNode(generateSigningKey(), [taken]))
  const both = ['/ip4/127.0.0.1/tcp/0', taken]
  await rejectsWith(t, 'ERR_ADDRESS_IN_USE', startNode(generateSigningKey(), both))
})

test('an address that is none, or not of this host, is said', async t => {
  for (const address of ['nonsense', '/ip4/127.0.0.1/udp/1', '/ip4/192.0.2.1/tcp/0', '']) {
    await rejectsWith(t, 'ERR_ADDRESS_INVALID', startNode(generateSigningKey(), [address]))
  }
})

test('forty connections from one host at once are all let in, as when a rack powers on', async t => {
  const server = await startRawNode(t, undefined, [anyPort])
  const protocol = '/bootswarm-test/open'
  let streams = 0
  await server.handle(protocol, () => void (streams += 1))
  const clients = await Promise.all(Array.from({ length: 40 }, () => startRawNode(t)))
  const connections = await Promise.all(
    clients.map(client => client.dial(server.getMultiaddrs(), { force: true }))
  )
  await Promise.all(connections.map(connection => connection.newStream(protocol)))
  await until(() => streams === 40, 'a stream from each')
  t.is(server.getConnections().length, 40)
  t.true(connections.every(({ status }) => status === 'open'))
})

test('a connection has as many streams as it may, and no more', async t => {
  const server = await startRawNode(t, undefined, [anyPort])
  const protocol = '/bootswarm-test/hold'
  let streams = 0
  await server.handle(protocol, () => void (streams += 1), { maxInboundStreams: 1_000 })
  const client = await startRawNode(t)
  const connection = await client.dial(server.getMultiaddrs())
  const open = (): Promise<unknown> => connection.newStream(protocol, { maxOutboundStreams: 1_000 })
  for (let n = 0; n < limits.streamsPerConnectionMax; n += 1) await open()
  await until(() => streams === limits.streamsPerConnectionMax, 'the streams that may be')
  await t.throwsAsync(open())
})
