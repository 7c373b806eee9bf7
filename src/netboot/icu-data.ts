import { BootswarmError } from '../base/index.ts'

// Node carries ICU's data for every language of the world, a fifth of its size, as one package in its
// read-only data (ICU User Guide, "ICU Data"; icu4c/source/common/ucmndata.h): a head, a count, that many
// pairs of 32-bit offsets from the count on — of a name, and of the data that it names — then names and
// data, in the order of the names.

const packageMagic = Buffer.from([0xda, 0x27])
/** `dataFormat` of a package: where in the head it stands, from the magic on. */
const packageFormat = { at: 10, text: 'CmnD' }
const headLengthAt = -2
const pairBytes = 8
const alignment = 16

/** Rules for breaking lines, spelling numbers out, transliteration, and tables of old encodings: nothing asks for them. */
const needless = /\/(brkitr|rbnf|translit)\/|\.(cnv|spp|cfu)$/
const ofLocale = /([^/]+)\.res$/
const locale = /^[a-z]{2,3}(_[A-Za-z0-9]+)*$/
const keptLocales = new Set(['en', 'en_001', 'en_US', 'en_US_POSIX'])

interface Item {
  readonly name: string
  readonly bytes: Buffer
}

/**
 * A program of the same length that knows no language but English: everybody else is spoken to as
 * ICU does where it has no data. What was left out are zeros, which compress to nothing. A program
 * that has no such package comes back as it is. ERR_NETBOOT_INVALID.
 */
export function withoutLocales(program: Buffer, path: string): Buffer {
  const head = findPackage(program)
  if (head === undefined) return program
  const start = head + program.readUInt16LE(head)
  const { items, end } = itemsOf(program, start, path)
  const kept = packageOf(items.filter(({ name }) => isKept(name)))
  if (start + kept.length > end) throw invalid(path, 'has language data of an unknown kind')
  const smaller = Buffer.from(program)
  smaller.fill(0, start, end)
  smaller.set(kept, start)
  return smaller
}

function findPackage(program: Buffer): number | undefined {
  for (
    let at = program.indexOf(packageMagic);
    at >= 0;
    at = program.indexOf(packageMagic, at + 1)
  ) {
    const format = at + packageFormat.at
    const text = program.toString('latin1', format, format + packageFormat.text.length)
    if (text === packageFormat.text) return at + headLengthAt
  }
  return undefined
}

/** All but the last, whose length nothing says; they end where that begins. */
function itemsOf(program: Buffer, start: number, path: string): { items: Item[]; end: number } {
  const count = program.readUInt32LE(start)
  const pair = (index: number): { name: number; data: number } => {
    const at = start + 4 + index * pairBytes
    if (at + pairBytes > program.length) throw invalid(path, 'is cut short')
    return { name: start + program.readUInt32LE(at), data: start + program.readUInt32LE(at + 4) }
  }
  const items: Item[] = []
  for (let index = 0; index + 1 < count; index += 1) {
    const { name, data } = pair(index)
    const next = pair(index + 1)
    if (name >= next.name || data > next.data || next.data > program.length) {
      throw invalid(path, 'has language data of an unknown kind')
    }
    const text = program.toString('latin1', name, program.indexOf(0, name))
    items.push({ name: text, bytes: program.subarray(data, next.data) })
  }
  return { items, end: count === 0 ? start + 4 : pair(count - 1).data }
}

function isKept(name: string): boolean {
  const [, base = ''] = ofLocale.exec(name) ?? []
  return !needless.test(name) && (!locale.test(base) || keptLocales.has(base))
}

function packageOf(items: readonly Item[]): Buffer {
  const names = Buffer.from(items.map(({ name }) => `${name}\0`).join(''), 'latin1')
  const table = Buffer.alloc(4 + items.length * pairBytes)
  table.writeUInt32LE(items.length)
  let nameAt = table.length
  let dataAt = aligned(table.length + names.length)
  const data: Buffer[] = [Buffer.alloc(dataAt - table.length - names.length)]
  for (const [index, { name, bytes }] of items.entries()) {
    table.writeUInt32LE(nameAt, 4 + index * pairBytes)
    table.writeUInt32LE(dataAt, 8 + index * pairBytes)
    nameAt += name.length + 1
    const padding = aligned(bytes.length) - bytes.length
    data.push(bytes, Buffer.alloc(padding))
    dataAt += bytes.length + padding
  }
  return Buffer.concat([table, names, ...data])
}

function aligned(length: number): number {
  return Math.ceil(length / alignment) * alignment
}

function invalid(path: string, why: string): BootswarmError {
  return new BootswarmError('ERR_NETBOOT_INVALID', `${path} ${why}; install the packages again`)
}
