import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { der, derObjectId, derTags } from './der.ts'

// What one shows in a TLS handshake, as libp2p's TLS specification has it (libp2p/specs, tls/tls.md):
// a self-signed X.509 certificate of a key made for this alone, and in it, in an extension, the key
// that the peer id stands for and that key's signature over the certificate's.

export const keyExtensionId = '1.3.6.1.4.1.53594.1.1'
const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const commonName = '2.5.4.3'

// Machines have no clock that can be trusted, and peers refuse what is not valid yet or no more: ours
// is valid from the beginning of time to RFC 5280's "no end" (4.1.2.5).
const notBefore = '700101000000Z'
const notAfter = '99991231235959Z'

/** PEM, as node:tls takes them. */
export interface OwnCertificate {
  readonly cert: string
  readonly key: string
}

/** A new one; it may serve any number of connections. */
export async function makeCertificate(peerKey: PrivateKey): Promise<OwnCertificate> {
  // P-256 because every implementation of libp2p's TLS can verify it.
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicInfo = publicKey.export({ type: 'spki', format: 'der' })
  const signedKey = der(
    derTags.sequence,
    der(derTags.octetString, publicKeyToProtobuf(peerKey.publicKey)),
    der(derTags.octetString, await peerKey.sign(bytesToSign(publicInfo)))
  )
  const body = certificateBody(publicInfo, signedKey)
  const signature = sign('sha256', body, privateKey)
  const certificate = der(derTags.sequence, body, signatureAlgorithm(), bits(signature))
  return {
    cert: pem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }
}

/** What the peer's own key signs: that the certificate's key, in DER, is used in its name. */
export function bytesToSign(publicInfo: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('libp2p-tls-handshake:', 'utf8'), publicInfo])
}

function certificateBody(publicInfo: Uint8Array, signedKey: Uint8Array): Buffer {
  const version3 = der(derTags.explicit0, der(derTags.integer, Buffer.from([2])))
  // A positive number: its highest bit is not set.
  const serial = Buffer.concat([Buffer.from([0x2a]), randomBytes(8)])
  const name = distinguishedName('bootswarm')
  const validity = der(
    derTags.sequence,
    der(derTags.utcTime, Buffer.from(notBefore, 'latin1')),
    der(derTags.generalizedTime, Buffer.from(notAfter, 'latin1'))
  )
  const keyExtension = der(
    derTags.sequence,
    derObjectId(keyExtensionId),
    der(derTags.boolean, Buffer.from([0xff])),
    der(derTags.octetString, signedKey)
  )
  return der(
    derTags.sequence,
    version3,
    der(derTags.integer, serial),
    signatureAlgorithm(),
    name,
    validity,
    name,
    publicInfo,
    der(derTags.explicit3, der(derTags.sequence, keyExtension))
  )
}

function signatureAlgorithm(): Buffer {
  return der(derTags.sequence, derObjectId(ecdsaWithSha256))
}

function distinguishedName(name: string): Buffer {
  const text = der(derTags.utf8String, Buffer.from(name, 'utf8'))
  const attribute = der(derTags.sequence, derObjectId(commonName), text)
  return der(derTags.sequence, der(derTags.set, attribute))
}

/** A BIT STRING says first how many bits of its last byte are not used. */
function bits(bytes: Uint8Array): Buffer {
  return der(derTags.bitString, Buffer.from([0]), bytes)
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
