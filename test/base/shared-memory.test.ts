import test from 'ava'
import fc from 'fast-check'
import { copyToShared } from '../../src/base/shared-memory.ts'

const KiB = 1024

test('it copies as `set` does, wherever both sides begin', t => {
  const source = Buffer.from(Array.from({ length: 200 * KiB }, (_, index) => (index * 31) % 251))
  const small = fc.nat(40)
  const length = fc.oneof(fc.nat(100), fc.integer({ min: 60 * KiB, max: 140 * KiB }))
  fc.assert(
    fc.property(small, small, small, length, (from, offset, at, count) => {
      const bytes = source.subarray(from, from + count)
      const shared = new Uint8Array(new SharedArrayBuffer(200 * KiB), offset)
      const plain = new Uint8Array(200 * KiB - offset)
      copyToShared(shared, bytes, at)
      plain.set(bytes, at)
      t.is(Buffer.compare(Buffer.from(shared), plain), 0)
    }),
    { numRuns: 100 }
  )
})

test('what does not fit is refused as by `set`', t => {
  const shared = new Uint8Array(new SharedArrayBuffer(100))
  t.throws(() => copyToShared(shared, Buffer.alloc(50), 51), { instanceOf: RangeError })
})
