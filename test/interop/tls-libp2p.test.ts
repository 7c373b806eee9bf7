import { createHash, randomBytes } from 'node:crypto'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import test, { type ExecutionContext } from 'ava'
import { createLibp2p, type Libp2p } from 'libp2p'
import { generateSigningKey } from '../../src/base/index.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import { startRawNode } from '../swarm/raw-peer.ts'
import { until } from '../swarm/peers.ts'
import { anyPort, portOf, streamPair } from '../swarm/tls/tls-peers.ts'

// The TLS that libp2p's own package speaks, against ours.

async function startTheirs(t: ExecutionContext, listen: string[] = []): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()]
  })
  t.teardown(() => node.stop())
  return node
}

for (const dials of ['ours', 'theirs'] as const) {
  test(`${dials} dials: both are who they say, the muxer is agreed on, bytes go both ways`, async t => {
    const nodes =
      dials === 'ours'
        ? { dialer: await startRawNode(t), server: await startTheirs(t, [anyPort]) }
        : { dialer: await startTheirs(t), server: await startRawNode(t, undefined, [anyPort]) }
    const { connection, dialed, answered } = await streamPair(t, nodes)
    t.is(connection.encryption, '/tls/1.0.0')
    t.is(connection.multiplexer, '/yamux/1.0.0')
    t.true(connection.remotePeer.equals(nodes.server.peerId))
    t.true(nodes.server.getConnections()[0]?.remotePeer.equals(nodes.dialer.peerId))
    for (const [from, to] of [
      [dialed, answered],
      [answered, dialed]
    ] as const) {
      const sent = randomBytes(150_000)
      const hash = createHash('sha256')
      let bytes = 0
      to.addEventListener('message', ({ data }) => {
        bytes += data.byteLength
        hash.update(data.subarray())
      })
      from.send(sent)
      await until(() => bytes === sent.length, 'what was sent')
      t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'))
    }
    await connection.close()
    await until(() => nodes.server.getConnections().length === 0, 'the end on the other side')
  })

  test(`${dials} dials another peer than answers, and is not let in`, async t => {
    const nodes =
      dials === 'ours'
        ? { dialer: await startRawNode(t), server: await startTheirs(t, [anyPort]) }
        : { dialer: await startTheirs(t), server: await startRawNode(t, undefined, [anyPort]) }
    const other = peerIdOf(generateSigningKey())
    const address = multiaddr(`/ip4/127.0.0.1/tcp/${portOf(nodes.server)}/p2p/${other}`)
    await t.throwsAsync(nodes.dialer.dial(address), { name: 'EncryptionFailedError' })
    await until(() => nodes.server.getConnections().length === 0, 'the end on the other side')
  })
}
