import test from 'ava'
import fc from 'fast-check'
import { pageBytes } from '../../src/disk/format.ts'
import {
  decodePage,
  encodePage,
  pageBodyBytes,
  RecordPacker
} from '../../src/disk/journal-format.ts'
import type { JournalRecord } from '../../src/disk/journal-format.ts'

const u32 = fc.nat({ max: 0xffff_ffff })
const records: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('pristine' as const, 'machine' as const),
    block: fc.nat({ max: 2 ** 48 - 1 }),
    count: u32
  }),
  fc.record({
    kind: fc.constant('checked'),
    block: fc.nat({ max: 2 ** 48 - 1 }),
    count: u32,
    crc: u32
  }),
  fc.record({
    kind: fc.constantFrom('zero' as const, 'touched' as const),
    position: u32,
    count: u32
  }),
  fc.record({
    kind: fc.constant('aside'),
    entry: fc.record({
      position: u32,
      page: u32,
      length: u32,
      plainLength: u32,
      encoding: fc.constantFrom('plain' as const, 'zstd' as const),
      crc: u32
    })
  }),
  fc.record({ kind: fc.constant('given-up'), position: u32 })
)
const place = {
  instance: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
  epoch: 7,
  index: 3,
  confirmed: { epoch: 6, pages: 511 }
}

function pageOf(body: Uint8Array): Buffer {
  const page = Buffer.alloc(pageBytes)
  encodePage(page, place, body)
  return page
}

test('records are read back in order from the pages that they fill', t => {
  fc.assert(
    fc.property(fc.array(records, { maxLength: 1000, size: 'max' }), list => {
      const packer = new RecordPacker()
      for (const record of list) packer.add(record)
      packer.finish()
      t.true(packer.bodies.every(body => body.length <= pageBodyBytes))
      const pages = packer.bodies.map(body => decodePage(pageOf(body)))
      t.deepEqual(
        pages.flatMap(page => page?.records ?? []),
        list
      )
      t.true(pages.every(page => page?.epoch === 7 && page.index === 3))
      for (const page of pages) t.deepEqual(page?.confirmed, place.confirmed)
    }),
    { numRuns: 30 }
  )
})

test('a page that is torn anywhere is none', t => {
  const packer = new RecordPacker()
  for (let block = 0; block < 300; block++) packer.add({ kind: 'machine', block, count: 1 })
  packer.finish()
  const page = pageOf(packer.bodies[0] ?? Buffer.alloc(0))
  for (let start = 0; start < 3072; start += 512) {
    const torn = Buffer.from(page)
    torn.fill(0, start, start + 512)
    t.is(decodePage(torn), undefined)
  }
  t.is(decodePage(Buffer.alloc(pageBytes)), undefined)
})

test('a record of unknown type makes the page unreadable', t => {
  t.is(decodePage(pageOf(Buffer.from([9, 0, 0, 0, 0]))), undefined)
  t.is(decodePage(pageOf(Buffer.from([1, 0, 0]))), undefined)
})
