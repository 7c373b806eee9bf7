import test from 'ava'
import fc from 'fast-check'
import { der, derElements, derObjectId, derTags } from '../../../src/swarm/tls/der.ts'

test('what was written is read back, whatever its length', t => {
  const lengths = fc.constantFrom(0, 1, 127, 128, 255, 256, 1_000, 65_535)
  fc.assert(
    fc.property(fc.array(lengths, { maxLength: 5 }), sizes => {
      const contents = sizes.map(size => Buffer.alloc(size, size))
      const list = der(
        derTags.sequence,
        ...contents.map(bytes => der(derTags.octetString, bytes))
      ).subarray(0)
      if (list.length > 65_000) return
      const [outer] = derElements(list)
      t.is(outer?.tag, derTags.sequence)
      const inner = derElements(outer?.content ?? new Uint8Array())
      t.deepEqual(
        inner.map(({ content }) => Buffer.from(content)),
        contents
      )
    }),
    { numRuns: 50 }
  )
})

test('object identifiers are as in X.690', t => {
  t.is(derObjectId('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302')
  t.is(derObjectId('2.5.4.3').toString('hex'), '0603550403')
  t.is(derObjectId('1.3.6.1.4.1.53594.1.1').toString('hex'), '060a2b0601040183a25a0101')
})

test('bytes that are not DER are refused as that, and nothing is read beyond their end', t => {
  const refused = ['30', '3001', '3080', '308101', '30850000000001', '308400000100', '30ffff']
  for (const hex of refused) {
    t.throws(() => derElements(Buffer.from(hex, 'hex')), { instanceOf: RangeError }, hex)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      try {
        const total = derElements(bytes).reduce((sum, { whole }) => sum + whole.length, 0)
        return total === bytes.length
      } catch (error) {
        return error instanceof RangeError
      }
    })
  )
})
