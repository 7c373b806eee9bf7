import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { nextDataExtent, seededRandom } from '../base/index.ts'
import type { DataExtent, Random } from '../base/index.ts'
import { ext4Layout } from './ext4-layout.ts'
import type { ImageLayout } from './ext4-layout.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** What a Debian 12 boot read up to its login prompt: 928 reads of 39.6 MB, measured (DESIGN, Image). */
const bytesReadMax = 39 * MiB
/** How long those reads were: most are one block or the kernel's whole read-ahead window. */
const readLengths = [4, 4, 4, 16, 16, 32, 64, 128, 128].map(length => length * KiB)
/** A program or library is read in a few runs, not from end to end. */
const runBytesMax = 512 * KiB
const pageBytes = 4 * KiB

/** A stretch of an image, in bytes. */
export type ImageRead = DataExtent

/**
 * Reads as a boot does them: the file system's superblock, group descriptors and inode tables, then
 * pieces of files all over the image, some 39 MB in reads of 4 to 128 KiB, none of them twice. They
 * lie where the image has data, and are the same for the same image. An image smaller than that, or
 * with less data, is read once.
 */
export async function bootReads(imagePath: string): Promise<ImageRead[]> {
  const image = await open(imagePath, 'r')
  try {
    const { size } = await image.stat()
    const { early, untouched, data } = (await ext4Layout(image, size)) ?? plainLayout(image, size)
    const seen = new PageSet()
    const reads = early.flatMap(read => seen.add(read, size))
    for (const extent of untouched) seen.add(extent, size)
    return [...reads, ...fileReads(data, size, seen)]
  } finally {
    await image.close()
  }
}

/** Of an image that is not one ext4: where partition tables and boot loaders lie, then what is no hole. */
function plainLayout({ fd }: FileHandle, size: number): ImageLayout {
  const data: DataExtent[] = []
  let extent = nextDataExtent(fd, 0, size)
  while (extent !== undefined) {
    data.push(extent)
    extent = nextDataExtent(fd, extent.offset + extent.length, size)
  }
  return { early: [{ offset: 0, length: Math.min(64 * KiB, size) }], untouched: [], data }
}

function fileReads(extents: readonly DataExtent[], size: number, seen: PageSet): ImageRead[] {
  const random = seededRandom(12)
  const bytesOfData = extents.reduce((sum, { length }) => sum + length, 0)
  const reads: ImageRead[] = []
  let bytes = 0
  // A run may fall where something was read before: the tries are bounded, not only the bytes.
  for (let run = 0; run < 4096 && bytes < Math.min(bytesReadMax, bytesOfData); run++) {
    for (const read of runOfReads(randomPosition(extents, bytesOfData, random), random)) {
      const fresh = seen.add(read, size)
      reads.push(...fresh)
      bytes += fresh.reduce((sum, { length }) => sum + length, 0)
    }
  }
  return reads
}

/** A page somewhere in the data, and how much of it follows there. */
function randomPosition(
  extents: readonly DataExtent[],
  bytesOfData: number,
  random: Random
): DataExtent {
  let skip = Math.floor(random.next() * bytesOfData)
  for (const { offset, length } of extents) {
    if (skip < length) {
      const start = Math.floor((offset + skip) / pageBytes) * pageBytes
      return { offset: start, length: offset + length - start }
    }
    skip -= length
  }
  return { offset: 0, length: 0 }
}

function runOfReads({ offset, length }: DataExtent, random: Random): ImageRead[] {
  const end = offset + Math.min(length, random.next() * runBytesMax)
  const reads: ImageRead[] = []
  for (let at = offset; at < end;) {
    const readLength = readLengths[Math.floor(random.next() * readLengths.length)] ?? pageBytes
    reads.push({ offset: at, length: Math.min(readLength, offset + length - at) })
    at += readLength
  }
  return reads
}

/** What was read, in pages: an operating system has it in its cache and does not ask again. */
class PageSet {
  readonly #pages = new Set<number>()

  /** The parts of a read, in whole pages of the image, that were not read before. */
  add({ offset, length }: ImageRead, size: number): ImageRead[] {
    const fresh: { offset: number; length: number }[] = []
    const end = Math.min(offset + length, size)
    for (let at = offset - (offset % pageBytes); at < end; at += pageBytes) {
      if (this.#pages.has(at)) continue
      this.#pages.add(at)
      const last = fresh.at(-1)
      const pageLength = Math.min(pageBytes, size - at)
      if (last !== undefined && last.offset + last.length === at) last.length += pageLength
      else fresh.push({ offset: at, length: pageLength })
    }
    return fresh
  }
}
