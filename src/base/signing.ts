import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as signBytes,
  verify as verifyBytes
} from 'node:crypto'

/** Ed25519 (RFC 8032): 32-byte seed and public key, 64-byte signatures. */
export interface SigningKey {
  /** 32 bytes, public. */
  readonly publicKey: Uint8Array
  /** 32 bytes, secret. */
  readonly seed: Uint8Array
}

// RFC 8410: the fixed DER prefixes of an Ed25519 private key (PKCS #8) and public key (SPKI).
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
const keyBytes = 32

export function generateSigningKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  const der = privateKey.export({ type: 'pkcs8', format: 'der' })
  return signingKeyFromSeed(der.subarray(-keyBytes))
}

export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    type: 'pkcs8',
    format: 'der'
  })
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return { publicKey: new Uint8Array(spki.subarray(-keyBytes)), seed: new Uint8Array(seed) }
}

/**
 * Signs `payload` for one purpose. The purpose is part of what is signed, so that a signature made
 * for a release can never be shown as one for a certificate.
 */
export function sign(key: SigningKey, purpose: string, payload: Uint8Array): Uint8Array {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, key.seed]),
    type: 'pkcs8',
    format: 'der'
  })
  return new Uint8Array(signBytes(null, withPurpose(purpose, payload), privateKey))
}

/** False for any malformed key or signature too: it never throws on what a peer sent. */
export function verifySignature(
  publicKey: Uint8Array,
  purpose: string,
  payload: Uint8Array,
  signature: Uint8Array
): boolean {
  if (publicKey.length !== keyBytes || signature.length !== 64) return false
  try {
    const key = createPublicKey({
      key: Buffer.concat([spkiPrefix, publicKey]),
      type: 'spki',
      format: 'der'
    })
    return verifyBytes(null, withPurpose(purpose, payload), key, signature)
  } catch {
    // OpenSSL rejects some 32-byte strings as points; such a key has signed nothing.
    return false
  }
}

function withPurpose(purpose: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`bootswarm ${purpose} v1\0`, 'utf8'), payload])
}
