import { crc32 } from 'node:zlib'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, Frame } from '../base/index.ts'
import { digestBytes, formatVersionError } from '../image/index.ts'

// The bytes of packs and of the file that marks a directory as a store (docs/store-format.md).

export const storeVersion = 1

/** What a store's directory holds. */
export const storeFiles = {
  marker: 'store.json',
  index: 'index.sqlite',
  lock: 'store.lock',
  keepLock: 'keep.lock',
  labKey: 'lab.key',
  enrolSecret: 'enrol.secret',
  packs: 'packs'
} as const

const markerFormat = 'bootswarm-store'

export function encodeMarker(): string {
  return `${JSON.stringify({ format: markerFormat, version: storeVersion })}\n`
}

/** ERR_STORE_INVALID if the text marks no store, ERR_FORMAT_VERSION if it marks another version. */
export function checkMarker(directory: string, text: string): void {
  const version = markedVersion(text)
  if (version === undefined) {
    throw new BootswarmError(
      'ERR_STORE_INVALID',
      `${directory} is not a bootswarm store: its ${storeFiles.marker} is malformed`
    )
  }
  if (version !== storeVersion) {
    throw formatVersionError(`the store ${directory}`, version, storeVersion)
  }
}

function markedVersion(text: string): number | undefined {
  try {
    const marker: unknown = JSON.parse(text)
    if (typeof marker !== 'object' || marker === null) return undefined
    if (!('format' in marker) || marker.format !== markerFormat) return undefined
    if (!('version' in marker) || typeof marker.version !== 'number') return undefined
    return Number.isSafeInteger(marker.version) ? marker.version : undefined
  } catch {
    // Not JSON: not a marker.
    return undefined
  }
}

export function packFileName(pack: number): string {
  return `${String(pack).padStart(6, '0')}.pack`
}

/** The number of a pack by its file's name, or undefined for any other file. */
export function packNumberOf(fileName: string): number | undefined {
  const digits = /^([0-9]{6,15})\.pack$/.exec(fileName)?.[1]
  const pack = Number(digits)
  return digits !== undefined && packFileName(pack) === fileName ? pack : undefined
}

// Pack header: magic 8, version u32, pack number u32. All integers are little-endian.
const packMagic = Buffer.from('bswpack\n', 'latin1')
export const packHeaderBytes = 16

export function encodePackHeader(pack: number): Buffer {
  const header = Buffer.alloc(packHeaderBytes)
  packMagic.copy(header)
  header.writeUInt32LE(storeVersion, 8)
  header.writeUInt32LE(pack, 12)
  return header
}

/** Why a file that begins with these bytes is not that pack, or undefined if it is. */
export function packHeaderFault(bytes: Uint8Array, pack: number): string | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (header.length < packHeaderBytes || !header.subarray(0, 8).equals(packMagic)) {
    return 'does not begin as a pack does'
  }
  const version = header.readUInt32LE(8)
  if (version !== storeVersion) return `has pack version ${version}, not ${storeVersion}`
  const found = header.readUInt32LE(12)
  return found === pack ? undefined : `is pack ${found} under a wrong name`
}

// Record: crc32 u32 of all that follows, frame length u32, plain length u32, encoding u8, 3 zero
// bytes, digest 32, then the frame.
export const recordHeaderBytes = 48
const encodings = ['plain', 'zstd'] as const

/** A frame of zlib's or ours may be a little longer than what it encodes, never much. */
export const frameBytesMax = limits.chunkBytesMax + 64 * 1024

export function encodeRecord(id: ChunkId, frame: Frame): Buffer {
  const record = Buffer.allocUnsafe(recordHeaderBytes + frame.bytes.length)
  record.writeUInt32LE(frame.bytes.length, 4)
  record.writeUInt32LE(frame.plainLength, 8)
  record.writeUInt32LE(encodings.indexOf(frame.encoding), 12)
  record.write(id, 16, 'hex')
  record.set(frame.bytes, recordHeaderBytes)
  record.writeUInt32LE(crc32(record.subarray(4)), 0)
  return record
}

/** The frame in a record, or undefined if the bytes are not an intact record of that chunk. */
export function decodeRecord(id: ChunkId, bytes: Uint8Array): Frame | undefined {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (record.length < recordHeaderBytes) return undefined
  if (record.readUInt32LE(0) !== crc32(record.subarray(4))) return undefined
  if (record.readUInt32LE(4) !== record.length - recordHeaderBytes) return undefined
  const encoding = encodings[record.readUInt32LE(12)]
  if (encoding === undefined) return undefined
  if (record.toString('hex', 16, 16 + digestBytes) !== id) return undefined
  const plainLength = record.readUInt32LE(8)
  return { encoding, plainLength, bytes: record.subarray(recordHeaderBytes) }
}
