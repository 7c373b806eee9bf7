import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { limits } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'

/** Bytes of a sha2-256 digest. */
export const digestBytes = 32

/** Stands in a manifest for an all-zero chunk; such a chunk is never stored or sent. */
export const zeroId: ChunkId = '0'.repeat(2 * digestBytes)

// Codes of the multicodec table that a CID carries.
const codecs = { raw: 0x55, 'dag-cbor': 0x71 } as const
const sha256Code = 0x12

type CidCodec = keyof typeof codecs

/** The id of a chunk or manifest block: sha2-256 of its plain bytes in hexadecimal. */
export function chunkIdOf(plain: Uint8Array): ChunkId {
  return hash('sha256', plain, 'hex')
}

const zeros = Buffer.alloc(limits.chunkBytesMax)

/** True when every byte is zero, by memcmp: ten times faster than hashing. */
export function isZero(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += zeros.length) {
    const part = bytes.subarray(start, start + zeros.length)
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false
  }
  return true
}

export function isChunkId(text: string): text is ChunkId {
  return /^[0-9a-f]{64}$/.test(text)
}

/** A block as an IPLD link: what the manifest holds and what people see. */
export function linkTo(id: ChunkId, codec: CidCodec): CID {
  return CID.createV1(codecs[codec], createDigest(sha256Code, Buffer.from(id, 'hex')))
}

/** The id that a link names, or undefined if it is no CIDv1 of that codec by sha2-256. */
export function idOfLink(link: unknown, codec: CidCodec): ChunkId | undefined {
  const cid = CID.asCID(link)
  return cid?.code === codecs[codec] ? digestOf(cid) : undefined
}

/** An image's CID: that of its manifest root, CIDv1 in base32, as people and scripts see it. */
export function imageCidText(imageId: ChunkId): string {
  return linkTo(imageId, 'dag-cbor').toString()
}

/** The id in a CID's text; undefined unless it is a CIDv1, raw or dag-cbor, by sha2-256. */
export function idOfCidText(text: string): ChunkId | undefined {
  if (text.length > limits.nameLengthMax) return undefined
  try {
    const cid = CID.parse(text)
    return cid.code === codecs.raw || cid.code === codecs['dag-cbor'] ? digestOf(cid) : undefined
  } catch {
    // multiformats throws errors of several kinds for text that is no CID; each means just that.
    return undefined
  }
}

function digestOf(cid: CID): ChunkId | undefined {
  const { code, digest } = cid.multihash
  if (cid.version !== 1 || code !== sha256Code || digest.length !== digestBytes) return undefined
  return Buffer.from(digest).toString('hex')
}
