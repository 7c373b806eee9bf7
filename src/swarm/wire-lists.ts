import { encode as encodeCbor } from '@ipld/dag-cbor'
import { limits, requestClasses } from '../base/index.ts'
import { refusalReasons, type Answer, type PeerAddress, type Want } from './messages.ts'
import { digest, digestBytes, flag, malformed, pick } from './wire-fields.ts'
import { decodePeers, plainPeers } from './wire-maps.ts'

// Wants and answers, of which several fit one message. Tables: docs/swarm-wire.md.

export const wantBytes = 4 + 2 + digestBytes
/** Request, what the answer is, and the place of a peer in the list behind the answers. */
const answerBytes = 4 + 1 + 1
/** What an answer is, by its number; then come the reasons of a refusal. */
const accepts = { here: 0, waiting: 1 } as const
const firstReason = 2
const redirects = firstReason + refusalReasons.length

export function encodeWant({ request, class: requestClass, insist, id }: Want): Uint8Array {
  const bytes = Buffer.allocUnsafe(wantBytes)
  bytes.writeUInt32BE(request, 0)
  bytes[4] = requestClasses.indexOf(requestClass)
  bytes[5] = insist ? 1 : 0
  bytes.write(id, 6, 'hex')
  return bytes
}

export function decodeWant(body: Buffer, at: number): Want {
  return {
    type: 'want',
    request: body.readUInt32BE(at),
    class: pick(requestClasses, body[at + 4], 'request class'),
    insist: flag(body[at + 5]),
    id: digest(body, at + 6)
  }
}

export function decodeWants(body: Buffer): Want[] {
  const count = body.length / wantBytes
  if (!Number.isInteger(count)) throw malformed('wants end inside a want')
  expectCount(count)
  return Array.from({ length: count }, (_, index) => decodeWant(body, index * wantBytes))
}

export function encodeAnswers(answers: readonly Answer[]): Uint8Array {
  const peers = new Map<string, { readonly place: number; readonly peer: PeerAddress }>()
  const bytes = Buffer.alloc(1 + answers.length * answerBytes)
  bytes[0] = answers.length
  for (const [index, answer] of answers.entries()) {
    const at = 1 + index * answerBytes
    bytes.writeUInt32BE(answer.request, at)
    bytes[at + 4] = numberOf(answer)
    const peer = answer.type === 'redirect' ? answer.to[0] : undefined
    if (peer === undefined) continue
    const { place } = peers.get(peer.peerId) ?? { place: peers.size }
    if (place === peers.size) peers.set(peer.peerId, { place, peer })
    bytes[at + 5] = place
  }
  const named = Array.from(peers.values(), ({ peer }) => peer)
  return Buffer.concat([bytes, encodeCbor(plainPeers(named))])
}

export function decodeAnswers(body: Buffer): Answer[] {
  const count = body[0] ?? 0
  expectCount(count)
  const end = 1 + count * answerBytes
  if (body.length <= end) throw malformed('answers end inside an answer')
  const peers = decodePeers(body.subarray(end))
  return Array.from({ length: count }, (_, index) => {
    return decodeAnswer(body, 1 + index * answerBytes, peers)
  })
}

function decodeAnswer(body: Buffer, at: number, peers: readonly PeerAddress[]): Answer {
  const request = body.readUInt32BE(at)
  const kind = body[at + 4] ?? redirects
  const place = body[at + 5]
  if (kind === redirects) {
    return { type: 'redirect', request, to: [pick(peers, place, 'peer of a redirect')] }
  }
  if (place !== 0) throw malformed('an answer that is no redirect names a peer')
  if (kind < firstReason) return { type: 'accept', request, waiting: kind === accepts.waiting }
  return { type: 'refuse', request, reason: pick(refusalReasons, kind - firstReason, 'answer') }
}

function numberOf(answer: Answer): number {
  switch (answer.type) {
    case 'accept':
      return answer.waiting ? accepts.waiting : accepts.here
    case 'refuse':
      return firstReason + refusalReasons.indexOf(answer.reason)
    case 'redirect':
      return redirects
  }
}

function expectCount(count: number): void {
  if (count < 1 || count > limits.listMessagesMax) throw malformed(`a list has ${count} messages`)
}
