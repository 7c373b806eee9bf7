import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { BootswarmError, sign, verifySignature, type SigningKey } from '../base/index.ts'

/**
 * What a seed signs and every peer shows first: "the lab says that this peer id is that machine".
 * It carries no expiry: machines have no trusted clock, and one must rejoin a swarm whose seeds are
 * all dead. A seed that wants a machine out stops knowing it.
 */
export interface Certificate {
  /** libp2p peer id, base58; the connection's encryption proves who holds it. */
  readonly peerId: string
  readonly role: 'seed' | 'agent'
  /** The machine's name, for people. */
  readonly name: string
}

const formatVersion = 1
const purpose = 'certificate'
const nameLengthMax = 128
const peerIdLengthMax = 128

export function issueCertificate(lab: SigningKey, certificate: Certificate): Uint8Array {
  const { peerId, role, name } = certificate
  const payload = encodeCbor({ version: formatVersion, peerId, role, name })
  return encodeCbor({ payload, signature: sign(lab, purpose, payload) })
}

/**
 * Checks a certificate that `peerId` showed. Throws ERR_PEER_UNTRUSTED when the lab did not sign it
 * or it is another peer's, ERR_FORMAT_VERSION when a newer lab did.
 */
export function openCertificate(
  labKey: Uint8Array,
  peerId: string,
  bytes: Uint8Array
): Certificate {
  const { payload, signature } = decodeMap(bytes, peerId)
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw untrusted(peerId, 'its certificate is malformed')
  }
  if (!verifySignature(labKey, purpose, payload, signature)) {
    throw untrusted(peerId, "its certificate is not signed by this lab's key")
  }
  const { version, peerId: certified, role, name } = decodeMap(payload, peerId)
  if (version !== formatVersion) {
    throw new BootswarmError(
      'ERR_FORMAT_VERSION',
      `peer ${peerId} has a certificate of format ${String(version)}, this bootswarm reads ${formatVersion}: upgrade the older side`
    )
  }
  if (certified !== peerId) throw untrusted(peerId, 'its certificate was given to another peer')
  if (role !== 'seed' && role !== 'agent') throw untrusted(peerId, 'its certificate has no role')
  if (typeof name !== 'string') throw untrusted(peerId, 'its certificate has no name')
  return { peerId, role, name }
}

/** Bounds what a machine may call itself before a seed signs it. */
export function isCertifiable(certificate: Certificate): boolean {
  const { name, peerId } = certificate
  return (
    name.length > 0 &&
    name.length <= nameLengthMax &&
    !/\p{Cc}/u.test(name) &&
    peerId.length <= peerIdLengthMax
  )
}

function decodeMap(bytes: Uint8Array, peerId: string): Record<string, unknown> {
  try {
    const value: unknown = decodeCbor(bytes)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Falls through: what is not dag-cbor is no certificate either.
  }
  throw untrusted(peerId, 'its certificate is malformed')
}

function untrusted(peerId: string, why: string): BootswarmError {
  return new BootswarmError('ERR_PEER_UNTRUSTED', `peer ${peerId} is not let in: ${why}`)
}
