import test from 'ava'
import fc from 'fast-check'
import type { Frame } from '../../src/base/index.ts'
import {
  checkMarker,
  decodeRecord,
  encodeMarker,
  encodePackHeader,
  encodeRecord,
  packFileName,
  packHeaderBytes,
  packHeaderFault,
  packNumberOf,
  recordHeaderBytes
} from '../../src/store/format.ts'
import { failsOnlyAsOurs, throwsWith } from '../helpers/errors.ts'

const anyId = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => Buffer.from(bytes).toString('hex'))
const anyFrame: fc.Arbitrary<Frame> = fc.record({
  encoding: fc.constantFrom('plain' as const, 'zstd' as const),
  plainLength: fc.nat(4 * 1024 * 1024),
  bytes: fc.uint8Array({ maxLength: 300 })
})

test('a record gives back its frame, for its chunk alone', t => {
  fc.assert(
    fc.property(anyId, anyId, anyFrame, (id, other, frame) => {
      const record = encodeRecord(id, frame)
      t.is(record.length, recordHeaderBytes + frame.bytes.length)
      const decoded = decodeRecord(id, record)
      t.deepEqual(decoded && { ...decoded, bytes: new Uint8Array(decoded.bytes) }, { ...frame })
      return other === id || decodeRecord(other, record) === undefined
    })
  )
})

test('a record with any bit flipped, or cut anywhere, is not intact', t => {
  fc.assert(
    fc.property(anyId, anyFrame, fc.nat(), fc.nat(7), (id, frame, at, bit) => {
      const record = encodeRecord(id, frame)
      const cut = record.subarray(0, at % record.length)
      t.is(decodeRecord(id, cut), undefined)
      const index = at % record.length
      record[index] = (record[index] ?? 0) ^ (1 << bit)
      return decodeRecord(id, record) === undefined
    })
  )
})

test('any bytes decode as a record, or do not', t => {
  fc.assert(
    fc.property(anyId, fc.uint8Array({ maxLength: 200 }), (id, bytes) => {
      return decodeRecord(id, bytes) === undefined
    })
  )
  t.pass()
})

test('the bytes of a record are those in docs/store-format.md', t => {
  const bytes = Buffer.from('chunk')
  const record = encodeRecord('ab'.repeat(32), { encoding: 'zstd', plainLength: 258, bytes })
  t.is(record.subarray(4, 16).toString('hex'), '050000000201000001000000')
  t.is(record.subarray(16, 48).toString('hex'), 'ab'.repeat(32))
  t.is(record.subarray(48).toString(), 'chunk')
})

test('a pack begins with its magic, version and number', t => {
  const header = encodePackHeader(258)
  t.is(header.toString('hex'), '627377' + '7061636b0a' + '01000000' + '02010000')
  t.is(header.length, packHeaderBytes)
  t.is(packHeaderFault(header, 258), undefined)
  t.not(packHeaderFault(header, 259), undefined)
  t.not(packHeaderFault(header.subarray(1), 258), undefined)
  t.not(packHeaderFault(Buffer.alloc(16), 258), undefined)
  header[8] = 2
  t.not(packHeaderFault(header, 258), undefined)
})

test('packs are told by their names', t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      pack => packNumberOf(packFileName(pack)) === pack
    )
  )
  for (const name of ['1.pack', '0000001.pack', '000001.pack.partial', 'x000001.pack', '.pack']) {
    t.is(packNumberOf(name), undefined, name)
  }
})

test('a marker of this version is taken, others are refused', t => {
  t.notThrows(() => checkMarker('/s', encodeMarker()))
  const other = (version: unknown) => JSON.stringify({ format: 'bootswarm-store', version })
  throwsWith(t, 'ERR_FORMAT_VERSION', () => checkMarker('/s', other(2)))
  throwsWith(t, 'ERR_FORMAT_VERSION', () => checkMarker('/s', other(0)))
  for (const text of ['', '{', 'null', '[]', '{"version":1}', other('1'), other(1.5)]) {
    throwsWith(t, 'ERR_STORE_INVALID', () => checkMarker('/s', text))
  }
  fc.assert(fc.property(fc.string(), text => failsOnlyAsOurs(() => checkMarker('/s', text))))
})
