import { BootswarmError } from '../base/index.ts'
import { formatVersionError } from '../image/index.ts'
import { decodeSuperblock, metadataVersion, pageBytes, regionsOf, wholePages } from './format.ts'
import type { Superblock, SuperblockReading } from './format.ts'
import { sectionOf } from './storage.ts'
import type { Storage } from './storage.ts'

/** A superblock in force, and the storage that it describes. */
export interface FoundMetadata {
  readonly storage: Storage
  readonly superblock: Superblock
}

export type Search =
  | { readonly kind: 'found'; readonly found: FoundMetadata }
  /** Nobody ever put metadata there. `zero`: nor anything else. */
  | { readonly kind: 'absent'; readonly zero: boolean }
  /** ERR_METADATA_CORRUPT or ERR_FORMAT_VERSION. */
  | { readonly kind: 'unusable'; readonly error: BootswarmError }

/** Looks into a file that holds metadata and nothing else. */
export async function searchFile(storage: Storage, path: string): Promise<Search> {
  if (storage.size < 2 * pageBytes) return { kind: 'absent', zero: storage.size === 0 }
  const first = await readingAt(storage, 0)
  const last = await readingAt(storage, storage.size - pageBytes)
  return judge(storage, [first, last], path)
}

/**
 * Looks for metadata behind an image on a device. The copy at the device's end tells how long the
 * image before it is; where that is damaged, `imageSize` has to.
 */
export async function searchDevice(
  device: Storage,
  path: string,
  imageSize: number | undefined
): Promise<Search> {
  const end = lastPage(device.size)
  if (end < 0) return { kind: 'absent', zero: true }
  const last = await readingAt(device, end)
  const start = metadataStart(last, imageSize) ?? end
  const first = start < end ? await readingAt(device, start) : last
  return judge(deviceSection(device, start), [first, last], path)
}

/** Where the metadata begins on a device, if that can be known. */
function metadataStart(last: SuperblockReading, imageSize: number | undefined): number | undefined {
  if (last.kind !== 'intact') return imageSize === undefined ? undefined : wholePages(imageSize)
  const { metadataOffset, image } = last.superblock
  return metadataOffset === 0 ? wholePages(image.size) : metadataOffset
}

/** What a device has behind an image that ends at `start`. */
export function deviceSection(device: Storage, start: number): Storage {
  return sectionOf(device, start, lastPage(device.size) + pageBytes - start)
}

function lastPage(size: number): number {
  return Math.floor(size / pageBytes) * pageBytes - pageBytes
}

async function readingAt(storage: Storage, offset: number): Promise<SuperblockReading> {
  return decodeSuperblock(await storage.read(offset, pageBytes))
}

function judge(storage: Storage, copies: readonly SuperblockReading[], path: string): Search {
  const other = copies.find(copy => copy.kind === 'version')
  if (other?.kind === 'version') {
    const error = formatVersionError(`disk metadata of ${path}`, other.version, metadataVersion)
    return { kind: 'unusable', error }
  }
  const superblock = copies
    .flatMap(copy => (copy.kind === 'intact' ? [copy.superblock] : []))
    .sort((a, b) => b.generation - a.generation)
    .at(0)
  if (superblock !== undefined) {
    if (regionsOf(superblock.image, superblock).totalBytes <= storage.size) {
      return { kind: 'found', found: { storage, superblock } }
    }
  } else if (copies.every(copy => copy.kind === 'absent')) {
    return { kind: 'absent', zero: copies.every(copy => copy.kind === 'absent' && copy.zero) }
  }
  const message = `${path}: no intact copy of the disk metadata; start over with --force`
  return { kind: 'unusable', error: new BootswarmError('ERR_METADATA_CORRUPT', message) }
}
