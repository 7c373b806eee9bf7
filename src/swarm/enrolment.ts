import type { Connection, Stream } from '@libp2p/interface'
import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { lpStream } from '@libp2p/utils'
import { BootswarmError, limits } from '../base/index.ts'
import { openCertificate } from './certificate.ts'
import { bindingOf, type Binding, type Ticket } from './ticket.ts'
import { protocolVersion } from './wire.ts'

// How a machine that holds a ticket gets its certificate, in three messages on a stream of its own
// (tables: docs/swarm-wire.md). The seed shows its certificate first: the ticket's secret is said
// only to a peer that the lab has signed.

export interface EnrolmentRequest {
  readonly peerId: string
  readonly name: string
  readonly expiresMs: number
  readonly secret: Uint8Array
  readonly bound?: Binding
}

/** Resolves to the new certificate, or throws with the one line that the machine shall show. */
export type Enroller = (request: EnrolmentRequest) => Uint8Array

const messageBytesMax = 4096

export async function askToEnrol(
  stream: Stream,
  connection: Connection,
  ticket: Ticket,
  name: string
): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(limits.enrolMs)
  const messages = lpStream(stream, { maxDataLength: messageBytesMax })
  const greeting = decode(await messages.read({ signal }))
  const seedId = connection.remotePeer.toString()
  checkVersion(seedId, greeting.version)
  const seed = openCertificate(ticket.labKey, seedId, bytesOf(greeting.certificate))
  if (seed.role !== 'seed') {
    throw new BootswarmError('ERR_PEER_UNTRUSTED', `peer ${seedId} is no seed of this lab`)
  }
  const ask = { name, expires: ticket.expiresMs, secret: ticket.secret, ...ticket.bound }
  await messages.write(encodeCbor(ask), { signal })
  const answer = decode(await messages.read({ signal }))
  await stream.close({ signal })
  if (typeof answer.error === 'string') {
    const code = answer.code === 'ERR_TICKET_USED' ? 'ERR_TICKET_USED' : 'ERR_TICKET_INVALID'
    throw new BootswarmError(code, answer.error.slice(0, 500))
  }
  return bytesOf(answer.certificate)
}

export async function answerEnrolment(
  stream: Stream,
  connection: Connection,
  certificate: Uint8Array,
  enrol: Enroller
): Promise<void> {
  const signal = AbortSignal.timeout(limits.enrolMs)
  const messages = lpStream(stream, { maxDataLength: messageBytesMax })
  await messages.write(encodeCbor({ version: protocolVersion, certificate }), { signal })
  const fields = decode(await messages.read({ signal }))
  const { name, expires, secret } = fields
  const bound = bindingOf(fields)
  if (typeof name !== 'string' || typeof expires !== 'number' || bound === null) throw malformed()
  const peerId = connection.remotePeer.toString()
  const request = { peerId, name, expiresMs: expires, secret: bytesOf(secret), bound }
  await messages.write(encodeCbor(answerOf(request, enrol)), { signal })
  await stream.close({ signal })
}

function answerOf(
  request: EnrolmentRequest,
  enrol: Enroller
): { certificate: Uint8Array } | { error: string; code: string } {
  try {
    return { certificate: enrol(request) }
  } catch (error) {
    if (error instanceof BootswarmError) return { error: error.message, code: error.code }
    throw error
  }
}

function checkVersion(seedId: string, version: unknown): void {
  if (version === protocolVersion) return
  const older =
    typeof version === 'number' && version < protocolVersion ? 'the seed' : 'this machine'
  throw new BootswarmError(
    'ERR_FORMAT_VERSION',
    `seed ${seedId} speaks protocol ${String(version)}, this bootswarm ${protocolVersion}: upgrade ${older}`
  )
}

function decode(message: { subarray(): Uint8Array }): Record<string, unknown> {
  try {
    const value: unknown = decodeCbor(message.subarray())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Falls through: what is not dag-cbor is as wrong as what is no map.
  }
  throw malformed()
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw malformed()
}

function malformed(): BootswarmError {
  return new BootswarmError('ERR_PEER_PROTOCOL', 'a peer sent a malformed enrolment message')
}
