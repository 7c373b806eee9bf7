import test from 'ava'
import fc from 'fast-check'
import { partsOf } from '../../src/base/index.ts'

test('a range is cut at the ends of chunks only, without a gap', t => {
  fc.assert(
    fc.property(
      fc.nat(1 << 20),
      fc.nat(1 << 16),
      fc.integer({ min: 9, max: 14 }),
      (offset, length, bits) => {
        const chunkSize = 1 << bits
        let next = offset
        for (const part of partsOf({ offset, length }, chunkSize)) {
          t.is(part.offset, next)
          t.is(part.position, Math.floor(part.offset / chunkSize))
          t.true(part.length > 0)
          next += part.length
          t.true(next <= (part.position + 1) * chunkSize)
          t.true(next === offset + length || next % chunkSize === 0)
        }
        t.is(next, offset + length)
      }
    )
  )
})

test('nothing has no parts', t => {
  t.deepEqual(partsOf({ offset: 5, length: 0 }, 512), [])
})
