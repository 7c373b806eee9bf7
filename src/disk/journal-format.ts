import { crc32 } from 'node:zlib'
import { pageBytes, readAsideEntry, writeAsideEntry } from './format.ts'
import type { AsideEntry } from './format.ts'

// The bytes of the presence journal, tabled in docs/disk-format.md. Records only ever move a block
// or chunk forward (missing, then pristine, then machine-written), so that any subset of the pages
// that a crash leaves, in any order, is true; but for `checked` records, which are true if their page
// is confirmed, or the blocks have the checksum.

export type JournalRecord =
  | { readonly kind: 'pristine' | 'machine'; readonly block: number; readonly count: number }
  | CheckedRecord
  | { readonly kind: 'zero' | 'touched'; readonly position: number; readonly count: number }
  | { readonly kind: 'aside'; readonly entry: AsideEntry }
  | { readonly kind: 'given-up'; readonly position: number }

/** Blocks are the machine's; written at the same time as their data, so perhaps before it. */
export interface CheckedRecord {
  readonly kind: 'checked'
  readonly block: number
  readonly count: number
  /** CRC-32 of the CRC-32s of the blocks, each big-endian. */
  readonly crc: number
}

const pageMagic = 0x4253574a
const headerBytes = 40

/** What a page has for records. */
export const pageBodyBytes = pageBytes - headerBytes

const kinds = ['pristine', 'machine', 'zero', 'aside', 'given-up', 'checked', 'touched'] as const
const recordBytes = {
  pristine: 11,
  machine: 11,
  zero: 9,
  aside: 22,
  'given-up': 5,
  checked: 15,
  touched: 9
} as const

/** Packs records into the bodies of pages, in order. */
export class RecordPacker {
  readonly bodies: Buffer[] = []
  #open: Buffer | undefined
  #used = 0

  add(record: JournalRecord): void {
    if (this.#open === undefined || this.#used + recordBytes[record.kind] > pageBodyBytes) {
      this.finish()
      // Of what it held before nothing is given on.
      this.#open = Buffer.allocUnsafe(pageBodyBytes)
    }
    this.#used = writeRecord(this.#open, this.#used, record)
  }

  /** Closes the page that is being filled; `bodies` then has all records. */
  finish(): void {
    if (this.#open !== undefined) this.bodies.push(this.#open.subarray(0, this.#used))
    this.#open = undefined
    this.#used = 0
  }
}

function writeRecord(bytes: Buffer, start: number, record: JournalRecord): number {
  const at = bytes.writeUInt8(1 + kinds.indexOf(record.kind), start)
  switch (record.kind) {
    case 'pristine':
    case 'machine':
      return bytes.writeUInt32BE(record.count, bytes.writeUIntBE(record.block, at, 6))
    case 'checked': {
      const next = bytes.writeUInt32BE(record.count, bytes.writeUIntBE(record.block, at, 6))
      return bytes.writeUInt32BE(record.crc, next)
    }
    case 'zero':
    case 'touched':
      return bytes.writeUInt32BE(record.count, bytes.writeUInt32BE(record.position, at))
    case 'aside':
      return writeAsideEntry(bytes, at, record.entry)
    case 'given-up':
      return bytes.writeUInt32BE(record.position, at)
  }
}

/** Which metadata a page belongs to and where in the journal it stands. */
export interface PagePlace {
  /** 8 bytes, as in the superblock. */
  readonly instance: Uint8Array
  readonly epoch: number
  /** Number of the page in its half. */
  readonly index: number
  readonly confirmed: JournalMark
}

/**
 * A place in the journal: all earlier epochs, and so many pages of this one. What is before a confirmed
 * mark is on stable storage, and so is the data that its records speak of.
 */
export interface JournalMark {
  readonly epoch: number
  readonly pages: number
}

/** Writes one page into `page`, a zeroed buffer of `pageBytes`. */
export function encodePage(page: Buffer, place: PagePlace, body: Uint8Array): void {
  page.writeUInt32BE(pageMagic, 0)
  page.set(place.instance, 8)
  page.writeUInt32BE(place.epoch, 16)
  page.writeUInt32BE(place.index, 20)
  page.writeUInt16BE(body.length, 24)
  page.writeUInt32BE(place.confirmed.epoch, 28)
  page.writeUInt32BE(place.confirmed.pages, 32)
  page.set(body, headerBytes)
  page.writeUInt32BE(pageCrc(page, body.length), 4)
}

export interface JournalPage extends PagePlace {
  readonly records: readonly JournalRecord[]
}

/** Undefined for a page that is torn, empty, or of something else. */
export function decodePage(page: Buffer): JournalPage | undefined {
  if (page.readUInt32BE(0) !== pageMagic) return undefined
  const length = page.readUInt16BE(24)
  if (length > pageBodyBytes || page.readUInt32BE(4) !== pageCrc(page, length)) return undefined
  const records = readRecords(page.subarray(headerBytes, headerBytes + length))
  if (records === undefined) return undefined
  return {
    instance: page.subarray(8, 16),
    epoch: page.readUInt32BE(16),
    index: page.readUInt32BE(20),
    confirmed: { epoch: page.readUInt32BE(28), pages: page.readUInt32BE(32) },
    records
  }
}

function pageCrc(page: Buffer, bodyBytes: number): number {
  return crc32(page.subarray(8, headerBytes + bodyBytes))
}

function readRecords(body: Buffer): JournalRecord[] | undefined {
  const records: JournalRecord[] = []
  for (let at = 0; at < body.length;) {
    const kind = kindOf(body.readUInt8(at))
    if (kind === undefined || at + recordBytes[kind] > body.length) return undefined
    records.push(readRecord(body, at + 1, kind))
    at += recordBytes[kind]
  }
  return records
}

function readRecord(body: Buffer, at: number, kind: JournalRecord['kind']): JournalRecord {
  switch (kind) {
    case 'pristine':
    case 'machine':
      return { kind, block: body.readUIntBE(at, 6), count: body.readUInt32BE(at + 6) }
    case 'checked': {
      const block = body.readUIntBE(at, 6)
      return { kind, block, count: body.readUInt32BE(at + 6), crc: body.readUInt32BE(at + 10) }
    }
    case 'zero':
    case 'touched':
      return { kind, position: body.readUInt32BE(at), count: body.readUInt32BE(at + 4) }
    case 'aside':
      return { kind, entry: readAsideEntry(body, at) }
    case 'given-up':
      return { kind, position: body.readUInt32BE(at) }
  }
}

function kindOf(type: number): JournalRecord['kind'] | undefined {
  return kinds[type - 1]
}
