import test from 'ava'
import fc from 'fast-check'
import { ReadAhead } from '../../src/agent/read-ahead.ts'

const KiB = 1024
const window = 512 * KiB

test('the third read in a row has a window fetched ahead of it, and each half window more', t => {
  const ahead = new ReadAhead()
  const step = 64 * KiB
  const asked = Array.from({ length: 9 }, (_, n) => ahead.next(n * step, step, window))
  t.deepEqual(asked.slice(0, 3), [undefined, undefined, { offset: 3 * step, length: window }])
  t.deepEqual(asked.slice(3, 6), [undefined, undefined, undefined])
  t.deepEqual(asked[6], { offset: 3 * step + window, length: 4 * step })
})

test('streams side by side are told apart, and a small gap ends none', t => {
  const ahead = new ReadAhead()
  const far = 1e9
  const asked = [0, 1, 2].flatMap(n => [
    ahead.next(n * 40 * KiB, 4 * KiB, window),
    ahead.next(far + n * 128 * KiB, 128 * KiB, window)
  ])
  t.deepEqual(asked.slice(0, 4), [undefined, undefined, undefined, undefined])
  t.deepEqual(asked[4], { offset: 84 * KiB, length: window })
  t.deepEqual(asked[5], { offset: far + 3 * 128 * KiB, length: window })
})

test('nothing is fetched for reads here and there, nor backwards', t => {
  const ahead = new ReadAhead()
  for (let n = 100; n > 0; n -= 1) t.is(ahead.next(n * 128 * KiB, 4 * KiB, window), undefined)
  const places = fc.uniqueArray(fc.nat(100_000), { minLength: 20, maxLength: 80 })
  fc.assert(
    fc.property(places, positions => {
      const random = new ReadAhead()
      const apart = positions.map(position => position * 1024 * KiB)
      return apart.every(offset => random.next(offset, 4 * KiB, window) === undefined)
    })
  )
})
