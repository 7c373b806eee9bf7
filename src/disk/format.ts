import { crc32 } from 'node:zlib'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { manifestBytesOf } from './manifest-slots.ts'
import { pageBytes, wholePages } from './pages.ts'

export { pageBytes, wholePages }

// The bytes of the disk metadata but for the journal's (journal-format.ts), tabled in
// docs/disk-format.md. All integers are big-endian.

export const metadataVersion = 2

/** What the disk has to know of an image; a manifest's root is one. */
export interface ImageLayout {
  readonly imageId: ChunkId
  /** Bytes, a multiple of 512. */
  readonly size: number
  /** Bytes, a power of two; the last chunk may be shorter. */
  readonly chunkSize: number
  readonly chunkCount: number
}

export type WritesMode = 'keep' | 'discard'

export interface Superblock {
  /** Tells this metadata's journal pages from those of an earlier one at the same place: 8 bytes. */
  readonly instance: Uint8Array
  /** The copy with the higher one is in force. */
  readonly generation: number
  readonly image: ImageLayout
  /** The lab's Ed25519 public key, 32 bytes. */
  readonly labKey: Uint8Array
  /** Every chunk was present and verified once. */
  readonly complete: boolean
  /** Closed cleanly, and every block that is not present reads as zeros from the target. */
  readonly blank: boolean
  /** Closed in order; false while it is in use. */
  readonly clean: boolean
  /** It was not, once: see `Snapshot.touched`. */
  readonly crashed: boolean
  /** What becomes of the machine's writes: discarded ones never reach the target (overlay.ts). */
  readonly writes: WritesMode
  /** Chunks of an earlier deployment may still have to be moved to where this image has them. */
  readonly relocating: boolean
  /** The machine uses the disk without the agent: nothing may be written, nothing is sure. */
  readonly handedOver: boolean
  /** Where the metadata begins on a device; 0: behind the image, as everywhere at first. */
  readonly metadataOffset: number
  /** While relocating: how far the target may hold chunks, in bytes; at least the image's size. */
  readonly formerBytes: number
  /**
   * Of a complete target, as it was left here (target-mark.ts); 0: not known. A device that has its
   * metadata at its own end needs none.
   */
  readonly targetMark: bigint
  /** Which snapshot slot holds the map, and how many of its bytes are used; 0: all is missing. */
  readonly snapshotSlot: 0 | 1
  readonly snapshotBytes: number
  readonly snapshotCrc: number
  /** The snapshot contains all journal epochs before this one. */
  readonly epoch: number
  readonly journalBytes: number
  readonly asideBytes: number
}

const superblockMagic = Buffer.from('BSWMdisk', 'latin1')
const identityMagic = 0x42535749
const flagComplete = 1
const flagBlank = 2
const flagClean = 4
const flagCrashed = 8
const flagDiscard = 16
const flagRelocating = 32
const flagHandedOver = 64
const checkedBytes = 508
const identityHeaderBytes = 16
const identitySlotBytes = limits.identityBytesMax + pageBytes
const asideEntryBytes = 21

/** The superblock, one page. */
export function encodeSuperblock(superblock: Superblock): Buffer {
  const { image } = superblock
  const bytes = Buffer.alloc(pageBytes)
  superblockMagic.copy(bytes, 0)
  bytes.writeUInt16BE(metadataVersion, 8)
  bytes.writeUInt16BE(flagsOf(superblock), 10)
  bytes.writeUInt32BE(superblock.epoch, 12)
  bytes.set(superblock.instance, 16)
  bytes.writeBigUInt64BE(BigInt(superblock.generation), 24)
  bytes.write(image.imageId, 32, 'hex')
  bytes.set(superblock.labKey, 64)
  bytes.writeBigUInt64BE(BigInt(image.size), 96)
  bytes.writeUInt32BE(image.chunkSize, 104)
  bytes.writeUInt32BE(limits.blockBytes, 108)
  bytes.writeUInt32BE(superblock.snapshotSlot, 112)
  bytes.writeUInt32BE(superblock.snapshotCrc, 116)
  bytes.writeBigUInt64BE(BigInt(superblock.snapshotBytes), 120)
  bytes.writeBigUInt64BE(BigInt(superblock.journalBytes), 128)
  bytes.writeBigUInt64BE(BigInt(superblock.asideBytes), 136)
  bytes.writeBigUInt64BE(BigInt(superblock.metadataOffset), 144)
  bytes.writeBigUInt64BE(BigInt(superblock.formerBytes), 152)
  bytes.writeBigUInt64BE(superblock.targetMark, 160)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, checkedBytes)), checkedBytes)
  return bytes
}

function flagsOf(superblock: Superblock): number {
  const { complete, blank, clean, crashed, writes, relocating, handedOver } = superblock
  return (
    (complete ? flagComplete : 0) |
    (blank ? flagBlank : 0) |
    (clean ? flagClean : 0) |
    (crashed ? flagCrashed : 0) |
    (writes === 'discard' ? flagDiscard : 0) |
    (relocating ? flagRelocating : 0) |
    (handedOver ? flagHandedOver : 0)
  )
}

export type SuperblockReading =
  | { readonly kind: 'intact'; readonly superblock: Superblock }
  /** No trace of one. `zero`: nothing was ever written there. */
  | { readonly kind: 'absent'; readonly zero: boolean }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'version'; readonly version: number }

export function decodeSuperblock(bytes: Buffer): SuperblockReading {
  if (!bytes.subarray(0, 8).equals(superblockMagic)) {
    return { kind: 'absent', zero: bytes.every(byte => byte === 0) }
  }
  if (bytes.readUInt32BE(checkedBytes) !== crc32(bytes.subarray(0, checkedBytes))) {
    return { kind: 'damaged' }
  }
  const version = bytes.readUInt16BE(8)
  if (version !== metadataVersion) return { kind: 'version', version }
  const superblock = superblockFields(bytes)
  return isSound(superblock, bytes.readUInt32BE(108))
    ? { kind: 'intact', superblock }
    : { kind: 'damaged' }
}

function superblockFields(bytes: Buffer): Superblock {
  const size = Number(bytes.readBigUInt64BE(96))
  const chunkSize = bytes.readUInt32BE(104)
  const flags = bytes.readUInt16BE(10)
  return {
    instance: new Uint8Array(bytes.subarray(16, 24)),
    generation: Number(bytes.readBigUInt64BE(24)),
    image: {
      imageId: bytes.toString('hex', 32, 64),
      size,
      chunkSize,
      chunkCount: Math.ceil(size / chunkSize)
    },
    labKey: new Uint8Array(bytes.subarray(64, 96)),
    complete: (flags & flagComplete) !== 0,
    blank: (flags & flagBlank) !== 0,
    clean: (flags & flagClean) !== 0,
    crashed: (flags & flagCrashed) !== 0,
    writes: (flags & flagDiscard) === 0 ? 'keep' : 'discard',
    relocating: (flags & flagRelocating) !== 0,
    handedOver: (flags & flagHandedOver) !== 0,
    metadataOffset: Number(bytes.readBigUInt64BE(144)),
    formerBytes: Number(bytes.readBigUInt64BE(152)),
    targetMark: bytes.readBigUInt64BE(160),
    epoch: bytes.readUInt32BE(12),
    snapshotSlot: bytes.readUInt32BE(112) === 1 ? 1 : 0,
    snapshotCrc: bytes.readUInt32BE(116),
    snapshotBytes: Number(bytes.readBigUInt64BE(120)),
    journalBytes: Number(bytes.readBigUInt64BE(128)),
    asideBytes: Number(bytes.readBigUInt64BE(136))
  }
}

function isSound(superblock: Superblock, blockBytes: number): boolean {
  const { image, journalBytes, asideBytes, snapshotBytes } = superblock
  if (blockBytes !== limits.blockBytes || !isLayoutSound(image)) return false
  if (journalBytes > limits.journalBytes || asideBytes > limits.asideBytesMax) return false
  if (journalBytes < 2 * pageBytes || journalBytes % (2 * pageBytes) !== 0) return false
  if (asideBytes % pageBytes !== 0 || !isPlaceSound(superblock)) return false
  return snapshotBytes <= regionsOf(image, { journalBytes, asideBytes }).snapshotSlotBytes
}

function isPlaceSound({ image, metadataOffset, formerBytes }: Superblock): boolean {
  if (!Number.isSafeInteger(formerBytes) || !Number.isSafeInteger(metadataOffset)) return false
  return metadataOffset === 0 || (metadataOffset % pageBytes === 0 && metadataOffset >= image.size)
}

function isLayoutSound({ size, chunkSize, chunkCount }: ImageLayout): boolean {
  if (!Number.isSafeInteger(size) || size <= 0 || size % limits.sectorBytes !== 0) return false
  if (chunkSize < limits.chunkBytesMin || chunkSize > limits.chunkBytesMax) return false
  return Number.isInteger(Math.log2(chunkSize)) && chunkCount <= limits.chunksMax
}

/** Where everything lies, in bytes from the start of the metadata. */
export interface Regions {
  readonly identityOffsets: readonly [number, number]
  readonly snapshotOffsets: readonly [number, number]
  readonly snapshotSlotBytes: number
  readonly journalOffsets: readonly [number, number]
  readonly journalHalfBytes: number
  readonly asideOffset: number
  /** The image's manifest (manifest-slots.ts). */
  readonly manifestOffset: number
  /** Up to here all is laid out from the start; the second superblock copy is the last page. */
  readonly endOffset: number
  /** The least that the whole can have. */
  readonly totalBytes: number
}

export function regionsOf(
  image: ImageLayout,
  { journalBytes, asideBytes }: Pick<Superblock, 'journalBytes' | 'asideBytes'>
): Regions {
  const identityOffset = pageBytes
  const snapshotOffset = identityOffset + 2 * identitySlotBytes
  const snapshotSlotBytes = wholePages(snapshotBytesMax(image, asideBytes / pageBytes))
  const journalOffset = snapshotOffset + 2 * snapshotSlotBytes
  const journalHalfBytes = journalBytes / 2
  const asideOffset = journalOffset + journalBytes
  const manifestOffset = asideOffset + asideBytes
  const endOffset = manifestOffset + manifestBytesOf(image)
  return {
    identityOffsets: [identityOffset, identityOffset + identitySlotBytes],
    snapshotOffsets: [snapshotOffset, snapshotOffset + snapshotSlotBytes],
    snapshotSlotBytes,
    journalOffsets: [journalOffset, journalOffset + journalHalfBytes],
    journalHalfBytes,
    asideOffset,
    manifestOffset,
    endOffset,
    totalBytes: endOffset + pageBytes
  }
}

/** A pristine frame in the aside area. */
export interface AsideEntry {
  /** The chunk's position in the image. */
  readonly position: number
  /** In pages from the start of the aside area. */
  readonly page: number
  readonly length: number
  readonly plainLength: number
  readonly encoding: 'plain' | 'zstd'
  readonly crc: number
}

export function writeAsideEntry(bytes: Buffer, at: number, entry: AsideEntry): number {
  bytes.writeUInt32BE(entry.position, at)
  bytes.writeUInt32BE(entry.page, at + 4)
  bytes.writeUInt32BE(entry.length, at + 8)
  bytes.writeUInt32BE(entry.plainLength, at + 12)
  bytes.writeUInt32BE(entry.crc, at + 16)
  bytes.writeUInt8(entry.encoding === 'zstd' ? 1 : 0, at + 20)
  return at + asideEntryBytes
}

export function readAsideEntry(bytes: Buffer, at: number): AsideEntry {
  return {
    position: bytes.readUInt32BE(at),
    page: bytes.readUInt32BE(at + 4),
    length: bytes.readUInt32BE(at + 8),
    plainLength: bytes.readUInt32BE(at + 12),
    crc: bytes.readUInt32BE(at + 16),
    encoding: bytes.readUInt8(at + 20) === 1 ? 'zstd' : 'plain'
  }
}

/** What the metadata says of the target: recorded states only, never what may yet be lost. */
export interface Snapshot {
  /** Two bits a block, first block in the high bits of the first byte (presence-map.ts). */
  readonly map: Uint8Array
  /** One bit a chunk: the manifest says that it is all zeros. */
  readonly zero: Uint8Array
  /** One bit a chunk: its pristine frame could not be put aside. */
  readonly givenUp: Uint8Array
  /**
   * One bit a chunk: the machine may have written over pristine blocks of it. After a crash such a
   * block may hold what the machine wrote though nothing else says so.
   */
  readonly touched: Uint8Array
  readonly asides: readonly AsideEntry[]
}

export function mapBytesOf(size: number): number {
  return Math.ceil(Math.ceil(size / limits.blockBytes) / 4)
}

function snapshotBytesMax(image: ImageLayout, asideCount: number): number {
  const bitmapBytes = Math.ceil(image.chunkCount / 8)
  return mapBytesOf(image.size) + 3 * bitmapBytes + 4 + asideCount * asideEntryBytes
}

export function encodeSnapshot({ map, zero, givenUp, touched, asides }: Snapshot): Buffer {
  const index = Buffer.alloc(4 + asides.length * asideEntryBytes)
  let at = index.writeUInt32BE(asides.length, 0)
  for (const entry of asides) at = writeAsideEntry(index, at, entry)
  return Buffer.concat([map, zero, givenUp, touched, index])
}

/** The bytes have passed their checksum; undefined if they do not fit the image all the same. */
export function decodeSnapshot(bytes: Buffer, image: ImageLayout): Snapshot | undefined {
  const mapBytes = mapBytesOf(image.size)
  const bitmapBytes = Math.ceil(image.chunkCount / 8)
  const indexStart = mapBytes + 3 * bitmapBytes
  if (bytes.length < indexStart + 4) return undefined
  const count = bytes.readUInt32BE(indexStart)
  if (bytes.length !== indexStart + 4 + count * asideEntryBytes) return undefined
  const asides: AsideEntry[] = []
  for (let index = 0; index < count; index++) {
    asides.push(readAsideEntry(bytes, indexStart + 4 + index * asideEntryBytes))
  }
  return {
    map: bytes.subarray(0, mapBytes),
    zero: bytes.subarray(mapBytes, mapBytes + bitmapBytes),
    givenUp: bytes.subarray(mapBytes + bitmapBytes, mapBytes + 2 * bitmapBytes),
    touched: bytes.subarray(mapBytes + 2 * bitmapBytes, indexStart),
    asides
  }
}

/** The identity blob with its header, for one of the two slots. */
export function encodeIdentity(identity: Uint8Array, generation: number): Buffer {
  if (identity.length > limits.identityBytesMax) {
    throw new BootswarmError(
      'ERR_INTERNAL',
      `an identity of ${identity.length} bytes, at most ${limits.identityBytesMax} fit the metadata`
    )
  }
  const bytes = Buffer.alloc(wholePages(identityHeaderBytes + identity.length))
  bytes.writeUInt32BE(identityMagic, 0)
  bytes.writeUInt32BE(generation, 4)
  bytes.writeUInt32BE(identity.length, 8)
  bytes.set(identity, identityHeaderBytes)
  bytes.writeUInt32BE(identityCrc(bytes, identity.length), 12)
  return bytes
}

export interface StoredIdentity {
  readonly generation: number
  readonly identity: Uint8Array
}

/** Undefined if the slot is empty or torn. */
export function decodeIdentity(bytes: Buffer): StoredIdentity | undefined {
  if (bytes.readUInt32BE(0) !== identityMagic) return undefined
  const length = bytes.readUInt32BE(8)
  if (length > limits.identityBytesMax) return undefined
  if (bytes.readUInt32BE(12) !== identityCrc(bytes, length)) return undefined
  const identity = bytes.subarray(identityHeaderBytes, identityHeaderBytes + length)
  return { generation: bytes.readUInt32BE(4), identity: new Uint8Array(identity) }
}

function identityCrc(bytes: Buffer, length: number): number {
  const header = crc32(bytes.subarray(0, 12))
  return crc32(bytes.subarray(identityHeaderBytes, identityHeaderBytes + length), header)
}

export const identitySlotLength = identitySlotBytes
