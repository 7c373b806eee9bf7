import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { MessageStream, StreamMessageEvent } from '@libp2p/interface'
import { BootswarmError } from '../../base/index.ts'

// The one place that knows how @libp2p/tcp (pinned in package.json) holds its socket: in a property
// `socket` of the connection, read by one 'data' listener, closed with destroySoon() and cut off with
// resetAndDestroy(). Encryption on that socket happens in OpenSSL alone; behind the connection, as
// @libp2p/tls does it, each record would pass through JavaScript twice.

interface Holder {
  socket: Socket
}

/**
 * The connection's socket, which nobody reads any more. What was read from it already and is not
 * consumed is in it again. Throws ERR_INTERNAL for a transport that holds its socket otherwise.
 */
export async function takeSocket(connection: MessageStream): Promise<Socket> {
  if (!holdsSocket(connection)) {
    throw new BootswarmError(
      'ERR_INTERNAL',
      'this version of @libp2p/tcp holds its socket in another way: src/swarm/tls/tcp-socket.ts must follow'
    )
  }
  const { socket } = connection
  socket.pause()
  socket.removeAllListeners('data')
  const unread = await unreadOf(connection)
  if (unread.length > 0) socket.unshift(unread)
  return socket
}

/** From now on the connection closes and cuts off the secured socket: what TLS holds is sent first. */
export function giveSocket(connection: MessageStream, raw: Socket, secured: TLSSocket): void {
  // A TLSSocket cannot reset by itself: its handle is not the TCP one.
  secured.resetAndDestroy = () => {
    raw.resetAndDestroy()
    return secured
  }
  ;(connection as MessageStream & Holder).socket = secured
}

function holdsSocket(connection: MessageStream): connection is MessageStream & Holder {
  const { socket } = connection as Partial<Holder>
  return socket instanceof Socket && socket.listenerCount('data') === 1
}

/** What libp2p has read and nobody consumed: a peer need not wait for our answer before it goes on. */
async function unreadOf(connection: MessageStream): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  const keep = ({ data }: StreamMessageEvent): void => void pieces.push(data.subarray())
  // A new listener is given what waits, in a microtask.
  connection.addEventListener('message', keep)
  await Promise.resolve()
  connection.removeEventListener('message', keep)
  return Buffer.concat(pieces)
}
