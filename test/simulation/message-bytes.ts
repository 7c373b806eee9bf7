import type { Answer, WireMessage } from '../../src/swarm/messages.ts'

/** Length and type of a message, then what yamux, the encrypter, TCP, IP and Ethernet add to a small one. */
const overheadBytes = 5 + 12 + 18 + 66

const digestBytes = 32
const peerBytes = 150

/** What a message takes on the line, near enough (docs/swarm-wire.md). */
export function messageBytes(message: WireMessage): number {
  return overheadBytes + bodyBytes(message)
}

function bodyBytes(message: WireMessage): number {
  switch (message.type) {
    case 'want':
      return 6 + digestBytes
    case 'wants':
      return message.wants.length * (6 + digestBytes)
    case 'answers':
      return message.answers.length * 6 + peersNamed(message.answers) * peerBytes
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

function peersNamed(answers: readonly Answer[]): number {
  const named = answers.flatMap(answer => (answer.type === 'redirect' ? answer.to : []))
  return new Set(named.map(({ peerId }) => peerId)).size
}
