import { decode, encode } from '@ipld/dag-cbor'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { chunkIdOf, digestBytes, idOfLink, linkTo } from './ids.ts'

// The bytes of manifest blocks: dag-cbor, one canonical form each (docs/image-format.md).

const manifestVersion = 1

/** What a manifest root says. `imageId` is the id of the root block itself. */
export interface ImageRoot {
  readonly imageId: ChunkId
  /** Bytes, a multiple of 512. */
  readonly size: number
  /** Bytes, a power of two; the last chunk may be shorter. */
  readonly chunkSize: number
  readonly chunkCount: number
  /** Each page lists `limits.pageChunksMax` chunks, the last one the rest. */
  readonly pageIds: readonly ChunkId[]
}

/** Why a disk of this size cannot be cut into chunks of that size, or undefined if it can. */
export function geometryFault(size: number, chunkSize: number): string | undefined {
  if (!Number.isSafeInteger(size) || size <= 0) return `an image of ${size} bytes`
  if (size % limits.sectorBytes !== 0) return `${size} bytes are not a multiple of 512`
  if (!isChunkSize(chunkSize)) return `a chunk size of ${chunkSize} bytes`
  const count = Math.ceil(size / chunkSize)
  if (count > limits.chunksMax) return `${count} chunks, at most ${limits.chunksMax} can be listed`
  return undefined
}

/** A power of two between the smallest and the largest chunk. */
export function isChunkSize(bytes: number): boolean {
  const inRange = bytes >= limits.chunkBytesMin && bytes <= limits.chunkBytesMax
  return inRange && Number.isInteger(Math.log2(bytes))
}

/** How many pages list the chunks of an image. */
export function pageCountOf(chunkCount: number): number {
  return Math.ceil(chunkCount / limits.pageChunksMax)
}

/** How many chunks page `page` lists in an image of `chunkCount` chunks. */
export function pageChunks(chunkCount: number, page: number): number {
  return Math.min(limits.pageChunksMax, chunkCount - page * limits.pageChunksMax)
}

export function encodeRoot(root: Pick<ImageRoot, 'size' | 'chunkSize' | 'pageIds'>): Uint8Array {
  return encode({
    version: manifestVersion,
    size: root.size,
    chunkSize: root.chunkSize,
    pages: root.pageIds.map(id => linkTo(id, 'dag-cbor'))
  })
}

/**
 * Reads a root block. ERR_CHUNK_CORRUPT if the bytes are not the block `id`, ERR_FORMAT_VERSION if
 * they speak another version, ERR_MANIFEST_INVALID for everything else that is wrong with them.
 */
export function decodeRoot(id: ChunkId, bytes: Uint8Array): ImageRoot {
  const block = decodeBlock(bytes, ['version', 'size', 'chunkSize', 'pages'], 'manifest root')
  if (chunkIdOf(bytes) !== id) {
    throw new BootswarmError('ERR_CHUNK_CORRUPT', `a manifest root does not hash to ${id}`)
  }
  const { size, chunkSize, pages } = block
  if (typeof size !== 'number' || typeof chunkSize !== 'number' || !Array.isArray(pages)) {
    throw invalid('a manifest root has fields of the wrong type')
  }
  const fault = geometryFault(size, chunkSize)
  if (fault !== undefined) throw invalid(`a manifest root states ${fault}`)
  const chunkCount = Math.ceil(size / chunkSize)
  if (pages.length !== pageCountOf(chunkCount)) {
    throw invalid(`a manifest root lists ${pages.length} pages for ${chunkCount} chunks`)
  }
  const pageIds = pages.map(link => {
    const pageId = idOfLink(link, 'dag-cbor')
    if (pageId === undefined) throw invalid('a manifest root links to something that is no page')
    return pageId
  })
  return { imageId: id, size, chunkSize, chunkCount, pageIds }
}

/** A page block of chunk ids, or of digests already packed. */
export function encodePage(ids: readonly ChunkId[] | Uint8Array): Uint8Array {
  const digests = ids instanceof Uint8Array ? ids : Buffer.from(ids.join(''), 'hex')
  return encode({ version: manifestVersion, digests })
}

/** The packed digests of a page, 32 bytes a chunk; errors as for a root. */
export function decodePage(bytes: Uint8Array, expectedCount: number): Uint8Array {
  const { digests } = decodeBlock(bytes, ['version', 'digests'], 'manifest page')
  if (!(digests instanceof Uint8Array)) throw invalid('a manifest page has no digests')
  if (digests.length !== expectedCount * digestBytes) {
    throw invalid(`a manifest page holds ${digests.length} bytes for ${expectedCount} chunks`)
  }
  return digests
}

/** What to say about a format of another version: who is behind must be upgraded. */
export function formatVersionError(what: string, found: number, known: number): BootswarmError {
  const remedy =
    found > known
      ? 'upgrade this bootswarm'
      : 'it was made by an older bootswarm: upgrade that side, or make it again'
  return new BootswarmError(
    'ERR_FORMAT_VERSION',
    `${what} has format version ${found}, this bootswarm reads version ${known}; ${remedy}`
  )
}

function decodeBlock<Key extends string>(
  bytes: Uint8Array,
  keys: readonly Key[],
  what: string
): Record<Key, unknown> {
  if (bytes.length > limits.manifestBlockBytesMax) throw invalid(`a ${what} is too long`)
  const block = decodeObject(bytes)
  if (block === undefined) throw invalid(`a ${what} is not a dag-cbor object`)
  if (Number.isInteger(block.version) && block.version !== manifestVersion) {
    throw formatVersionError(`a ${what}`, Number(block.version), manifestVersion)
  }
  if (block.version !== manifestVersion) throw invalid(`a ${what} has no version`)
  const strange = Object.keys(block).find(key => !keys.some(known => known === key))
  if (strange !== undefined) throw invalid(`a ${what} has an unknown field`)
  if (!Buffer.from(encode(block)).equals(bytes)) throw invalid(`a ${what} is not canonical`)
  return block
}

/** A dag-cbor map as an object, or undefined for anything else. */
export function decodeObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = decode(bytes)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return value as Record<string, unknown>
  } catch {
    // The decoder throws errors of several kinds, down to a deep recursion's RangeError.
    return undefined
  }
}

function invalid(message: string): BootswarmError {
  return new BootswarmError('ERR_MANIFEST_INVALID', message)
}
