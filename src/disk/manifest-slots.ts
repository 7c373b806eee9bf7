import { crc32 } from 'node:zlib'
import { BootswarmError, limits } from '../base/index.ts'
import { pageCountOf } from '../image/index.ts'
import type { ImageLayout } from './format.ts'
import { pageBytes, wholePages } from './pages.ts'
import type { Storage } from './storage.ts'

// The image's manifest beside the disk, as it was received, so that a machine needs no peer to know
// what its disk shall hold. Slot 0 takes the root, slot n + 1 page n (docs/disk-format.md). What the
// blocks mean is the caller's business: they name themselves by their hash.

const slotMagic = 0x42534d42
const headerBytes = 16
/** A page lists up to `pageChunksMax` digests of 32 bytes; its envelope takes less than this. */
const envelopeBytes = 1024
const pageSlotBytes = wholePages(headerBytes + limits.pageChunksMax * 32 + envelopeBytes)
/** A link in the root takes less than this. */
const linkBytes = 48

/** Bytes that the slots of an image take, whole pages. */
export function manifestBytesOf(image: ImageLayout): number {
  return rootSlotBytes(image) + pageCountOf(image.chunkCount) * pageSlotBytes
}

export async function writeManifestSlot(
  storage: Storage,
  offset: number,
  image: ImageLayout,
  slot: number,
  block: Uint8Array
): Promise<void> {
  const { start, length } = slotOf(image, slot)
  if (headerBytes + block.length > length) {
    throw new BootswarmError(
      'ERR_MANIFEST_INVALID',
      `manifest block ${slot} has ${block.length} bytes, more than an image of this size needs`
    )
  }
  const bytes = Buffer.alloc(wholePages(headerBytes + block.length))
  bytes.writeUInt32BE(slotMagic, 0)
  bytes.writeUInt32BE(block.length, 4)
  bytes.writeUInt32BE(crc32(block), 8)
  bytes.set(block, headerBytes)
  await storage.write(offset + start, bytes)
}

/** Undefined if the slot is empty or torn. */
export async function readManifestSlot(
  storage: Storage,
  offset: number,
  image: ImageLayout,
  slot: number
): Promise<Uint8Array | undefined> {
  const { start, length } = slotOf(image, slot)
  const header = await storage.read(offset + start, pageBytes)
  const blockBytes = header.readUInt32BE(4)
  if (header.readUInt32BE(0) !== slotMagic || headerBytes + blockBytes > length) return undefined
  const bytes = await storage.read(offset + start, wholePages(headerBytes + blockBytes))
  const block = bytes.subarray(headerBytes, headerBytes + blockBytes)
  return crc32(block) === header.readUInt32BE(8) ? block : undefined
}

function slotOf(image: ImageLayout, slot: number): { start: number; length: number } {
  const root = rootSlotBytes(image)
  if (slot === 0) return { start: 0, length: root }
  return { start: root + (slot - 1) * pageSlotBytes, length: pageSlotBytes }
}

function rootSlotBytes(image: ImageLayout): number {
  return wholePages(headerBytes + pageCountOf(image.chunkCount) * linkBytes + envelopeBytes)
}
