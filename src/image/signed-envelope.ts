import { encode } from '@ipld/dag-cbor'
import { sign, verifySignature, type ErrorCode, BootswarmError } from '../base/index.ts'
import type { SigningKey } from '../base/index.ts'
import { decodeObject, formatVersionError } from './format.ts'

/** One kind of bytes that a lab's key signs. */
export interface EnvelopeKind {
  /** What is signed along, so that bytes of one kind never pass for another's. */
  readonly purpose: string
  /** For errors: `a release`. */
  readonly what: string
  readonly version: number
  readonly bytesMax: number
  readonly untrustedCode: ErrorCode
}

/** A dag-cbor map of version, payload and signature (docs/image-format.md, "Release"). */
export function signEnvelope(key: SigningKey, kind: EnvelopeKind, payload: Uint8Array): Uint8Array {
  const signature = sign(key, kind.purpose, payload)
  return new Uint8Array(encode({ version: kind.version, payload, signature }))
}

/**
 * What was signed, as `decode` reads it (undefined for what it cannot read). The kind's untrusted code
 * unless `labKey` (32 bytes, public) signed it and it is well formed, ERR_FORMAT_VERSION if it speaks
 * another version.
 */
export function openEnvelope<T>(
  labKey: Uint8Array,
  kind: EnvelopeKind,
  bytes: Uint8Array,
  decode: (payload: Uint8Array) => T | undefined
): T {
  const { version, purpose, what } = kind
  if (bytes.length > kind.bytesMax) throw untrusted(kind, 'it is too long')
  const envelope = decodeObject(bytes)
  if (envelope === undefined) throw untrusted(kind, 'it is malformed')
  const { payload, signature } = envelope
  if (Number.isInteger(envelope.version) && envelope.version !== version) {
    throw formatVersionError(what, Number(envelope.version), version)
  }
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw untrusted(kind, 'it is malformed')
  }
  // The envelope itself is not signed: without this, one payload could have many forms.
  const canonical = encode({ version, payload, signature })
  if (!Buffer.from(canonical).equals(bytes)) throw untrusted(kind, 'it is malformed')
  if (!verifySignature(labKey, purpose, payload, signature)) {
    throw untrusted(kind, "it is not signed by this lab's key")
  }
  const value = decode(payload)
  if (value === undefined) throw untrusted(kind, 'what was signed is malformed')
  return value
}

function untrusted({ untrustedCode, what }: EnvelopeKind, reason: string): BootswarmError {
  return new BootswarmError(untrustedCode, `${what} cannot be trusted: ${reason}`)
}
