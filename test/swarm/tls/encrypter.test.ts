import { randomBytes } from 'node:crypto'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { multiaddr } from '@multiformats/multiaddr'
import test, { type ExecutionContext } from 'ava'
import type { Libp2p } from 'libp2p'
import { generateSigningKey } from '../../../src/base/index.ts'
import { peerIdOf } from '../../../src/swarm/node.ts'
import { until } from '../peers.ts'
import { startRawNode } from '../raw-peer.ts'
import { makeIdentity } from './certificates.ts'
import {
  agreedOnTls,
  anyPort,
  choosesTls,
  isClosed,
  portOf,
  startNoiseNode,
  streamPair
} from './tls-peers.ts'

test('two nodes speak TLS, and have agreed on the muxer in its handshake', async t => {
  const { connection, server, dialer } = await streamPair(t)
  t.is(connection.encryption, '/tls/1.0.0')
  t.is(connection.multiplexer, '/yamux/1.0.0')
  t.true(connection.remotePeer.equals(server.peerId))
  const [seen] = server.getConnections()
  t.is(seen?.encryption, '/tls/1.0.0')
  t.true(seen?.remotePeer.equals(dialer.peerId))
})

test('with a peer that knows only noise, noise is spoken, whoever dials', async t => {
  const dials = await streamPair(t, { dialer: await startNoiseNode(t) })
  t.is(dials.connection.encryption, '/noise')
  const answers = await streamPair(t, { server: await startNoiseNode(t, [anyPort]) })
  t.is(answers.connection.encryption, '/noise')
})

test('who answers for another peer id is not let in, and nothing stays open', async t => {
  const server = await startRawNode(t, undefined, [anyPort])
  const dialer = await startRawNode(t)
  const other = peerIdOf(generateSigningKey())
  const address = `/ip4/127.0.0.1/tcp/${portOf(server)}/p2p/${other}`
  await t.throwsAsync(dialer.dial(multiaddr(address)), { message: /in the place of/ })
  await until(() => server.getConnections().length === 0, 'the end at the server')
  t.is(dialer.getConnections().length, 0)
})

/** A TLS client of nobody's making, after both sides have agreed to speak it. */
async function tlsClient(
  t: ExecutionContext,
  node: Libp2p,
  options: ConnectionOptions
): Promise<TLSSocket> {
  const raw = await agreedOnTls(node)
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ...options })
  socket.on('error', () => {})
  socket.resume()
  t.teardown(() => socket.destroy())
  return socket
}

test('who shows no certificate, or none of a peer, is cut off and never a connection', async t => {
  const server = await startRawNode(t, undefined, [anyPort])
  let opened = 0
  server.addEventListener('connection:open', () => void (opened += 1))
  const { own } = await makeIdentity()
  const broken = { ...own, cert: (await makeIdentity()).own.cert, key: undefined }
  const attempts: ConnectionOptions[] = [
    { ALPNProtocols: ['libp2p'] },
    { ALPNProtocols: ['libp2p'], cert: broken.cert },
    { ...own, ALPNProtocols: ['h2', 'http/1.1'] },
    { ...own, ALPNProtocols: ['libp2p'], maxVersion: 'TLSv1.2' }
  ]
  for (const options of attempts) {
    let client: TLSSocket
    try {
      client = await tlsClient(t, server, options)
    } catch {
      // OpenSSL will not even begin with a certificate without its key.
      continue
    }
    await until(() => isClosed(client), 'the end')
  }
  t.is(opened, 0)
  const proper = await tlsClient(t, server, { ...own, ALPNProtocols: ['/yamux/1.0.0', 'libp2p'] })
  await until(() => opened === 1, 'the proper one')
  t.is(proper.alpnProtocol, '/yamux/1.0.0')
})

const yamuxPing = Buffer.from('000200010000000000000' + '02a', 'hex')
const yamuxPong = Buffer.from('000200020000000000000' + '02a', 'hex')

test('a dialler that waits for no answer is understood, and so is what it sends at once', async t => {
  const server = await startRawNode(t, undefined, [anyPort])
  const raw = connectTcp(portOf(server), '127.0.0.1')
  const { own } = await makeIdentity()
  // Its choice and its ClientHello leave in one packet; the answer is cut from what comes back.
  let unsaid = choosesTls
  let answerLeft = choosesTls.length
  const inOne = new Duplex({
    read: () => {},
    write(bytes: Buffer, _encoding, done) {
      raw.write(Buffer.concat([unsaid, bytes]), done)
      unsaid = Buffer.alloc(0)
    }
  })
  raw.on('data', (bytes: Buffer) => {
    const skipped = Math.min(answerLeft, bytes.length)
    answerLeft -= skipped
    if (skipped < bytes.length) inOne.push(bytes.subarray(skipped))
  })
  const client = connectTls({
    socket: inOne,
    rejectUnauthorized: false,
    ALPNProtocols: ['/yamux/1.0.0'],
    ...own
  })
  t.teardown(() => raw.destroy())
  const received: Buffer[] = []
  client.on('data', (bytes: Buffer) => void received.push(bytes))
  // Goes out with the last message of the handshake, before the server can have looked at it.
  client.write(yamuxPing)
  await until(() => Buffer.concat(received).includes(yamuxPong), 'the answer to the ping')
  t.pass()
})

const spoiledHandshakes: Record<string, (socket: Socket) => void> = {
  'bytes that are no TLS': socket => void socket.write(randomBytes(1_000)),
  'a TLS record that is no handshake': socket => {
    socket.write(Buffer.from('170303000568656c6c6f', 'hex'))
  },
  'a ClientHello without end': socket => {
    socket.write(Buffer.from('16030100ff010000fb0303', 'hex'))
    socket.write(Buffer.alloc(4))
  },
  'the end of the stream': socket => void socket.end(),
  'the end of the stream inside a record': socket => {
    socket.write(Buffer.from('16030100ff01', 'hex'))
    socket.end()
  },
  'a reset': socket => void socket.resetAndDestroy(),
  'nothing at all': () => {}
}

for (const [what, spoil] of Object.entries(spoiledHandshakes)) {
  test(`a handshake that is ${what} is over soon, and the node goes on`, async t => {
    const server = await startRawNode(t, undefined, [anyPort])
    let opened = 0
    server.addEventListener('connection:open', () => void (opened += 1))
    const socket = await agreedOnTls(server)
    socket.resume()
    spoil(socket)
    await until(() => isClosed(socket), 'the end')
    t.is(opened, 0)
    await streamPair(t, { server })
    t.is(opened, 1)
  })
}

test('a dial whose peer never answers in TLS is given up by its signal', async t => {
  const sockets = new Set<Socket>()
  const mute = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    // It agrees on TLS and says nothing more.
    socket.once('data', () => socket.write(choosesTls))
    socket.resume()
  })
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  t.teardown(() => mute.close())
  const { port } = mute.address() as { port: number }
  const dialer = await startRawNode(t)
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${peerIdOf(generateSigningKey())}`)
  await t.throwsAsync(dialer.dial(address, { signal: AbortSignal.timeout(300) }))
  t.is(sockets.size, 1)
  await until(() => [...sockets].every(isClosed), 'the end')
})

/** A relay that can spoil what goes to the dialler or to the server. */
async function startRelay(
  t: ExecutionContext,
  port: number
): Promise<{ port: number; spoil: { toServer: boolean; toDialer: boolean } }> {
  const spoil = { toServer: false, toDialer: false }
  const changed = (bytes: Buffer, isSpoiled: boolean): Buffer => {
    if (isSpoiled) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    return bytes
  }
  const relay = createServer(near => {
    const far = connectTcp(port, '127.0.0.1')
    near.on('data', (bytes: Buffer) => far.write(changed(bytes, spoil.toServer)))
    far.on('data', (bytes: Buffer) => near.write(changed(bytes, spoil.toDialer)))
    for (const [one, other] of [
      [near, far],
      [far, near]
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve))
  t.teardown(() => relay.close())
  return { port: (relay.address() as { port: number }).port, spoil }
}

for (const side of ['toServer', 'toDialer'] as const) {
  test(`one bit changed on the way ${side} ends the connection on both sides`, async t => {
    const server = await startRawNode(t, undefined, [anyPort])
    const relay = await startRelay(t, portOf(server))
    const dialer = await startRawNode(t)
    const connection = await dialer.dial(
      multiaddr(`/ip4/127.0.0.1/tcp/${relay.port}/p2p/${server.peerId.toString()}`)
    )
    await until(() => server.getConnections().length === 1, 'the connection')
    const [other] = server.getConnections()
    relay.spoil[side] = true
    const sender = side === 'toServer' ? connection : other
    await sender?.newStream('/bootswarm-test/none').catch(() => {})
    await until(() => connection.status !== 'open' && other?.status !== 'open', 'the end')
    t.pass()
  })
}
