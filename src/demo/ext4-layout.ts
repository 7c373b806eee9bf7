import type { FileHandle } from 'node:fs/promises'
import type { DataExtent } from '../base/index.ts'

const KiB = 1024

/** Where an image has what, in bytes. */
export interface ImageLayout {
  /** What is read first, in order. */
  readonly early: readonly DataExtent[]
  /** In use, but not read by a boot. */
  readonly untouched: readonly DataExtent[]
  /** All that is in use. */
  readonly data: readonly DataExtent[]
}

interface Group {
  readonly blockBitmap: DataExtent
  readonly inodeBitmap: DataExtent
  readonly inodeTable: DataExtent
  readonly hasBitmap: boolean
}

interface Superblock {
  readonly blockBytes: number
  readonly blocks: number
  readonly blocksPerGroup: number
  readonly firstDataBlock: number
  readonly inodeTableBytes: number
  readonly descriptorBytes: number
}

const superblockOffset = 1024
const superblockBytes = 1024
const magic = 0xef53
const incompatible64Bit = 0x80
const groupBlockUninitialised = 0x2
/** 512 GiB in the usual groups of 128 MiB: enough for where a boot reads. */
const groupsMax = 4096

/**
 * Reads where an ext4 that fills the whole image keeps its metadata, and by its block bitmaps which
 * blocks are in use; undefined when it is no such image (Linux, Documentation/filesystems/ext4: super
 * block, group descriptors, bitmaps; little-endian). Holes would tell less: a file's unwritten
 * extents count as holes or as data by what is in the page cache.
 */
export async function ext4Layout(
  image: FileHandle,
  size: number
): Promise<ImageLayout | undefined> {
  const superblock = decodeSuperblock(await readAt(image, superblockOffset, superblockBytes))
  if (superblock === undefined || superblock.blocks * superblock.blockBytes > size) return undefined
  const { blockBytes, blocks, blocksPerGroup, firstDataBlock, descriptorBytes } = superblock
  const count = Math.min(Math.ceil((blocks - firstDataBlock) / blocksPerGroup), groupsMax)
  const table = { offset: (firstDataBlock + 1) * blockBytes, length: count * descriptorBytes }
  const groups = decodeGroups(await readAt(image, table.offset, table.length), superblock, size)

  const data: DataExtent[] = []
  for (const [index, { blockBitmap, hasBitmap }] of groups.entries()) {
    if (!hasBitmap) continue
    const first = firstDataBlock + index * blocksPerGroup
    const bits = Math.min(blocksPerGroup, blocks - first)
    const bitmap = await readAt(image, blockBitmap.offset, blockBitmap.length)
    data.push(...usedExtents(bitmap, bits, first * blockBytes, blockBytes))
  }
  const early = groups.flatMap(({ blockBitmap, inodeBitmap, inodeTable }) => {
    const firstInodes = Math.min(inodeTable.length, 16 * KiB)
    return [blockBitmap, inodeBitmap, { offset: inodeTable.offset, length: firstInodes }]
  })
  return {
    early: [{ offset: 0, length: Math.min(64 * KiB, size) }, table, ...early],
    untouched: groups.map(({ inodeTable }) => inodeTable),
    data
  }
}

function decodeSuperblock(bytes: Buffer): Superblock | undefined {
  if (bytes.length < superblockBytes || bytes.readUInt16LE(0x38) !== magic) return undefined
  const has64Bit = (bytes.readUInt32LE(0x60) & incompatible64Bit) !== 0
  const blockBytes = 1024 << Math.min(bytes.readUInt32LE(0x18), 6)
  const superblock = {
    blockBytes,
    blocks: bytes.readUInt32LE(0x04),
    blocksPerGroup: bytes.readUInt32LE(0x20),
    firstDataBlock: bytes.readUInt32LE(0x14),
    inodeTableBytes: bytes.readUInt32LE(0x28) * bytes.readUInt16LE(0x58),
    descriptorBytes: has64Bit ? bytes.readUInt16LE(0xfe) : 32
  }
  const { blocks, blocksPerGroup, firstDataBlock, descriptorBytes } = superblock
  const isSane =
    firstDataBlock <= 1 &&
    blocks > firstDataBlock &&
    blocksPerGroup > 0 &&
    blocksPerGroup <= blockBytes * 8 &&
    descriptorBytes >= 32 &&
    descriptorBytes <= 1024
  return isSane ? superblock : undefined
}

function decodeGroups(table: Buffer, superblock: Superblock, size: number): Group[] {
  const { blockBytes, inodeTableBytes, descriptorBytes } = superblock
  const groups: Group[] = []
  for (let at = 0; at + descriptorBytes <= table.length; at += descriptorBytes) {
    const extent = (field: number, length: number): DataExtent => {
      const offset = Math.min(table.readUInt32LE(at + field) * blockBytes, size)
      return { offset, length: Math.min(length, size - offset) }
    }
    groups.push({
      blockBitmap: extent(0x00, blockBytes),
      inodeBitmap: extent(0x04, blockBytes),
      inodeTable: extent(0x08, inodeTableBytes),
      hasBitmap: (table.readUInt16LE(at + 0x12) & groupBlockUninitialised) === 0
    })
  }
  return groups
}

/** Runs of set bits; bit 0 of byte 0 is the block at `offset`. */
function usedExtents(
  bitmap: Buffer,
  bits: number,
  offset: number,
  blockBytes: number
): DataExtent[] {
  const extents: DataExtent[] = []
  let start = -1
  for (let bit = 0; bit <= bits; bit++) {
    const isUsed = bit < bits && (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1
    if (isUsed && start < 0) start = bit
    if (isUsed || start < 0) continue
    extents.push({ offset: offset + start * blockBytes, length: (bit - start) * blockBytes })
    start = -1
  }
  return extents
}

async function readAt(image: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await image.read(Buffer.alloc(length), 0, length, offset)
  return buffer.subarray(0, bytesRead)
}
