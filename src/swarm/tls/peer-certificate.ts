import type { X509Certificate } from 'node:crypto'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { BootswarmError, messageOf } from '../../base/index.ts'
import { derElements, derObjectId, derTags, type DerElement } from './der.ts'
import { bytesToSign, keyExtensionId } from './own-certificate.ts'

const keyExtension = derObjectId(keyExtensionId)

/** Where the subject's key stands in a certificate's body, its optional version left out (RFC 5280, 4.1). */
const publicInfoAt = 5

/**
 * Who showed this certificate in a handshake that proved its key: the peer whose key signed it. Throws
 * ERR_PEER_UNTRUSTED for one that is malformed, not valid now, not signed by itself or by that peer,
 * or another peer's than `expected`.
 */
export async function peerOfCertificate(
  certificate: X509Certificate | undefined,
  expected: PeerId | undefined,
  nowMs: number = Date.now()
): Promise<PeerId> {
  if (certificate === undefined) throw untrusted('it showed none')
  if (certificate.validFromDate.getTime() > nowMs) throw untrusted('it is not valid yet')
  if (certificate.validToDate.getTime() < nowMs) throw untrusted('it has expired')
  const isOwn = certificate.issuer === certificate.subject
  if (!isOwn || !verifies(certificate)) throw untrusted('it is not signed by itself')
  const { publicInfo, signedKey } = parse(certificate.raw)
  const peer = await signer(publicInfo, signedKey)
  if (expected === undefined || expected.equals(peer)) return peer
  throw new BootswarmError(
    'ERR_PEER_UNTRUSTED',
    `peer ${peer.toString()} answers in the place of ${expected.toString()}`
  )
}

function verifies(certificate: X509Certificate): boolean {
  try {
    return certificate.verify(certificate.publicKey)
  } catch {
    // A key that OpenSSL cannot use has signed nothing.
    return false
  }
}

/** The certificate's key and the content of libp2p's extension, both in DER. */
function parse(raw: Uint8Array): { publicInfo: Uint8Array; signedKey: Uint8Array } {
  try {
    const fields = inside(inside(derElements(raw)[0])[0])
    const rest = fields[0]?.tag === derTags.explicit0 ? fields.slice(1) : fields
    const list = rest.find(({ tag }) => tag === derTags.explicit3)
    const extensions = list === undefined ? [] : inside(inside(list)[0]).map(inside)
    const isKey = (parts: readonly DerElement[]): boolean =>
      parts[0] !== undefined && keyExtension.equals(parts[0].whole)
    const signedKey = extensions.find(isKey)?.at(-1)?.content
    const publicInfo = rest[publicInfoAt]?.whole
    if (signedKey === undefined || publicInfo === undefined) {
      throw new RangeError("libp2p's key extension is missing")
    }
    return { publicInfo, signedKey }
  } catch (cause) {
    throw untrusted(messageOf(cause), cause)
  }
}

async function signer(publicInfo: Uint8Array, signedKey: Uint8Array): Promise<PeerId> {
  let isSigned = false
  let peer: PeerId
  try {
    const [protobuf, signature] = inside(derElements(signedKey)[0])
    if (protobuf === undefined || signature === undefined) throw new RangeError('it has two parts')
    const key = publicKeyFromProtobuf(protobuf.content)
    peer = peerIdFromPublicKey(key)
    isSigned = await key.verify(bytesToSign(publicInfo), signature.content)
  } catch (cause) {
    throw untrusted("libp2p's key extension is malformed", cause)
  }
  if (!isSigned) throw untrusted(`peer ${peer.toString()} has not signed it`)
  return peer
}

function inside(element: DerElement | undefined): DerElement[] {
  if (element === undefined) throw new RangeError('it is malformed')
  return derElements(element.content)
}

function untrusted(why: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_PEER_UNTRUSTED', `a peer's TLS certificate is refused: ${why}`, {
    cause
  })
}
