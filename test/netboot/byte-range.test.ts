import test from 'ava'
import fc from 'fast-check'
import { rangeOf } from '../../src/netboot/byte-range.ts'

test('a range is what RFC 9110 says', t => {
  const cases: [string | undefined, number, ReturnType<typeof rangeOf>][] = [
    [undefined, 10, undefined],
    ['bytes=0-', 10, { offset: 0, length: 10 }],
    ['bytes=4-5', 10, { offset: 4, length: 2 }],
    ['bytes=4-400', 10, { offset: 4, length: 6 }],
    ['bytes=-3', 10, { offset: 7, length: 3 }],
    ['bytes=-30', 10, { offset: 0, length: 10 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ...['bytes=5-4', 'bytes=-', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=a-b', 'bytes=1'].map(
      header => [header, 10, undefined] as [string, number, undefined]
    )
  ]
  for (const [header, size, wanted] of cases) t.deepEqual(rangeOf(header, size), wanted, header)
})

test('no header leads outside the file', t => {
  const part = fc.oneof(fc.nat(30).map(String), fc.constant(''), fc.constant('99999999999999'))
  fc.assert(
    fc.property(part, part, fc.nat(20), (first, last, size) => {
      const range = rangeOf(`bytes=${first}-${last}`, size)
      if (range === undefined || range === 'unsatisfiable') return true
      return range.offset >= 0 && range.length > 0 && range.offset + range.length <= size
    })
  )
  t.pass()
})
