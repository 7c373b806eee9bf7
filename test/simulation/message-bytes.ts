import type { Message } from '../../src/swarm/index.ts'

/** Length and type of a message, then what yamux, the encrypter, TCP, IP and Ethernet add to a small one. */
const overheadBytes = 5 + 12 + 18 + 66

const digestBytes = 32
const peerBytes = 150

/** What a message takes on the line, near enough (docs/swarm-wire.md). */
export function messageBytes(message: Message): number {
  return overheadBytes + bodyBytes(message)
}

function bodyBytes(message: Message): number {
  switch (message.type) {
    case 'want':
      return 6 + digestBytes
    case 'redirect':
      return 4 + message.to.length * peerBytes
    case 'have-map':
      return digestBytes + 4 + message.bits.length
    case 'have':
    case 'have-not':
    case 'read':
      return digestBytes + 4 * message.items.length
    case 'peers':
      return message.peers.length * peerBytes
    case 'seeds':
      return digestBytes + 60 * message.seeds.length
    case 'hello':
      return 400
    default:
      return digestBytes
  }
}
