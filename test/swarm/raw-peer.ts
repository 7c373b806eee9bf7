import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { ExecutionContext } from 'ava'
import type { Libp2p } from 'libp2p'
import { generateSigningKey, type SigningKey } from '../../src/base/index.ts'
import { MessageReader } from '../../src/swarm/message-reader.ts'
import { startNode } from '../../src/swarm/node.ts'
import { messagesIn } from '../../src/swarm/outbox.ts'
import { peerProtocol, type Message, type WireMessage } from '../../src/swarm/wire.ts'
import type { TestPeer } from './peers.ts'

/** A libp2p node that knows the protocol's name and none of its manners. */
export async function startRawNode(
  t: ExecutionContext,
  key: SigningKey = generateSigningKey(),
  listen: readonly string[] = []
): Promise<Libp2p> {
  const node = await startNode(key, listen)
  t.teardown(() => node.stop())
  return node
}

export interface RawLink {
  readonly connection: Connection
  readonly stream: Stream
  /** What the other side has sent. */
  readonly received: Message[]
  /** The same as it came: several that left together as one. */
  readonly whole: WireMessage[]
  readonly closed: () => boolean
}

/** A stream to `peer` on which nothing has been said. */
export async function dialRaw(node: Libp2p, peer: TestPeer): Promise<RawLink> {
  const address = multiaddr(peer.address.addresses[0] ?? '')
  const connection = await node.dial(address, { force: true })
  return rawLink(connection, await connection.newStream(peerProtocol))
}

export function rawLink(connection: Connection, stream: Stream): RawLink {
  const received: Message[] = []
  const whole: WireMessage[] = []
  const reader = new MessageReader()
  stream.addEventListener('message', event => {
    for (const message of reader.push(event.data.subarray())) {
      whole.push(message)
      received.push(...messagesIn(message))
    }
  })
  return { connection, stream, received, whole, closed: () => connection.status !== 'open' }
}
