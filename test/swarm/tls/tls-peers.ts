import { connect, type Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import type { ExecutionContext } from 'ava'
import { createLibp2p, type Libp2p } from 'libp2p'
import { until } from '../peers.ts'
import { startRawNode } from '../raw-peer.ts'

export const anyPort = '/ip4/127.0.0.1/tcp/0'
const protocol = '/bootswarm-test/tls'

/** A node of somebody who knows no TLS. */
export async function startNoiseNode(t: ExecutionContext, listen: string[] = []): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()]
  })
  t.teardown(() => node.stop())
  return node
}

export interface StreamPair {
  readonly connection: Connection
  readonly dialer: Libp2p
  readonly server: Libp2p
  readonly dialed: Stream
  readonly answered: Stream
}

/** A stream between two nodes, the secured connection under it. */
export async function streamPair(
  t: ExecutionContext,
  nodes: { server?: Libp2p; dialer?: Libp2p; via?: string } = {}
): Promise<StreamPair> {
  const server = nodes.server ?? (await startRawNode(t, undefined, [anyPort]))
  const dialer = nodes.dialer ?? (await startRawNode(t))
  const answered = Promise.withResolvers<Stream>()
  await server.handle(protocol, stream => answered.resolve(stream), { force: true })
  const address = server.getMultiaddrs()[0]
  if (address === undefined) throw new Error('the server listens nowhere')
  const connection = await dialer.dial(address, { force: true })
  const dialed = await connection.newStream(protocol)
  return { connection, dialer, server, dialed, answered: await answered.promise }
}

/** A TCP connection to a node that has agreed on TLS, and on nothing else. */
export async function agreedOnTls(node: Libp2p): Promise<Socket> {
  const socket = connect(portOf(node), '127.0.0.1')
  socket.on('error', () => {})
  socket.write(choosesTls)
  let received = Buffer.alloc(0)
  const keep = (bytes: Buffer): void => void (received = Buffer.concat([received, bytes]))
  socket.on('data', keep)
  await until(() => received.length >= choosesTls.length, 'the answer')
  socket.off('data', keep)
  return socket
}

/** What multistream-select has a dialler say first, and its answerer repeat. */
export const choosesTls = Buffer.concat(
  ['/multistream/1.0.0\n', '/tls/1.0.0\n'].map(line =>
    Buffer.concat([Buffer.from([line.length]), Buffer.from(line)])
  )
)

export function portOf(node: Libp2p): number {
  return Number(/\/tcp\/(\d+)/.exec(String(node.getMultiaddrs()[0]))?.[1])
}

export function isClosed(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded
}
