import { encode } from '@ipld/dag-cbor'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, SigningKey } from '../base/index.ts'
import { decodeObject } from './format.ts'
import { idOfCidText, idOfLink, linkTo } from './ids.ts'
import { openEnvelope, signEnvelope, type EnvelopeKind } from './signed-envelope.ts'

const releaseVersion = 1
const kind: EnvelopeKind = {
  purpose: 'release',
  what: 'a release',
  version: releaseVersion,
  bytesMax: limits.releaseBytesMax,
  untrustedCode: 'ERR_RELEASE_UNTRUSTED'
}

/** What a lab's key says about a name: `name:tag` is that image. */
export interface Release {
  readonly name: string
  readonly tag: string
  readonly imageId: ChunkId
  /** Grows by one each time the tag moves; of two releases the greater serial is the newer. */
  readonly serial: number
  /** Milliseconds since 1970 by the clock of the seed that signed. */
  readonly createdMs: number
}

export interface ImageName {
  readonly name: string
  readonly tag: string
}

const defaultTag = 'latest'
const wordPattern = /^[a-z0-9][a-z0-9._-]*$/

/** `debian` or `debian:12`; the tag is `latest` if there is none. ERR_NAME_INVALID. */
export function parseImageName(text: string): ImageName {
  const [name = '', tag = defaultTag, ...rest] = text.split(':')
  // A name that reads as a CID could be taken for the image of that CID.
  if (rest.length > 0 || !isWord(name) || !isWord(tag) || idOfCidText(name) !== undefined) {
    throw new BootswarmError(
      'ERR_NAME_INVALID',
      `${JSON.stringify(text.slice(0, 80))} is not an image name: use NAME or NAME:TAG of a-z 0-9 . _ -, each beginning with a letter or digit`
    )
  }
  return { name, tag }
}

/** Signed bytes of a release: a dag-cbor envelope (docs/image-format.md). */
export function signRelease(key: SigningKey, release: Release): Uint8Array {
  return signEnvelope(key, kind, encodePayload(release))
}

/**
 * The release in signed bytes. ERR_RELEASE_UNTRUSTED unless `labKey` (32 bytes, public) signed it
 * and it is well formed, ERR_FORMAT_VERSION if it speaks another version.
 */
export function openRelease(labKey: Uint8Array, bytes: Uint8Array): Release {
  return openEnvelope(labKey, kind, bytes, decodePayload)
}

function encodePayload({ name, tag, imageId, serial, createdMs }: Release): Uint8Array {
  return encode({ name, tag, image: linkTo(imageId, 'dag-cbor'), serial, createdMs })
}

function decodePayload(payload: Uint8Array): Release | undefined {
  const fields = decodeObject(payload)
  const imageId = idOfLink(fields?.image, 'dag-cbor')
  if (fields === undefined || imageId === undefined) return undefined
  const { name, tag, serial, createdMs } = fields
  if (!isWord(name) || !isWord(tag) || !isCount(serial) || !isCount(createdMs)) return undefined
  const release = { name, tag, imageId, serial, createdMs }
  return Buffer.from(encodePayload(release)).equals(payload) ? release : undefined
}

function isWord(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= limits.nameLengthMax && wordPattern.test(value)
  )
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
