import type { ByteRange } from '../base/index.ts'

// The data of ICU that lies inside Node (ICU, common/ucmndata.h and udata.h): a header that ends with
// the format "CmnD", then a table of contents, sorted by name, then what it lists. Offsets count from the
// table on. A third of Node is what ICU knows of languages that nobody asks an agent for.

const formatMark = Buffer.from('da271400000000000200436d6e44', 'hex')
const markOffset = 2
const entryBytes = 8
const entriesMax = 20_000

const keptLocales = new Set(['root', 'en', 'en_001', 'en_US', 'en_US_POSIX'])

interface Item {
  readonly nameOffset: number
  readonly name: string
  readonly data: ByteRange
}

/**
 * The same program with zeros where such data was, which compress to nothing; the table lists it no
 * more, so that ICU falls back as for any language that it does not know. A program without such a table
 * is given back as it is.
 */
export function withoutLocales(program: Buffer): Buffer {
  const start = program.indexOf(formatMark) - markOffset
  if (start < 0) return program
  const table = start + program.readUInt16LE(start)
  const items = itemsOf(program, table)
  if (items === undefined) return program
  const smaller = Buffer.from(program)
  const kept = items.filter(({ name }) => isKept(name))
  for (const { name, data } of items) {
    if (!isKept(name)) smaller.fill(0, table + data.offset, table + data.offset + data.length)
  }
  smaller.writeUInt32LE(kept.length, table)
  for (const [at, { nameOffset, data }] of kept.entries()) {
    smaller.writeUInt32LE(nameOffset, table + 4 + at * entryBytes)
    smaller.writeUInt32LE(data.offset, table + 8 + at * entryBytes)
  }
  return smaller
}

/** The last item is left out: nothing says where it ends, so it stays. Undefined for no sound table. */
function itemsOf(program: Buffer, table: number): Item[] | undefined {
  const count = program.readUInt32LE(table)
  if (count === 0 || count > entriesMax) return undefined
  const items: Item[] = []
  for (let at = 0; at < count; at += 1) {
    const entry = table + 4 + at * entryBytes
    const nameOffset = program.readUInt32LE(entry)
    const offset = program.readUInt32LE(entry + 4)
    const isLast = at === count - 1
    const end = isLast ? offset : program.readUInt32LE(entry + entryBytes + 4)
    const nameEnd = program.indexOf(0, table + nameOffset)
    if (end < offset || table + end > program.length || nameEnd < 0) return undefined
    const name = program.toString('latin1', table + nameOffset, nameEnd)
    items.push({ nameOffset, name, data: { offset, length: end - offset } })
  }
  return items
}

/** `icudt78l/lang/de.res`: what is of one language, converters of old encodings, dictionaries of words. */
function isKept(name: string): boolean {
  const file = name.slice(name.lastIndexOf('/') + 1)
  if (/\.(cnv|dict)$/.test(file)) return false
  const [, locale] = /^([a-z]{2,3}(?:_[A-Za-z0-9]+)*)\.res$/.exec(file) ?? []
  return locale === undefined || keptLocales.has(locale)
}
