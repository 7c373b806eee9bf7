import test from 'ava'
import { Paces } from '../../src/scheduler/paces.ts'

const frame = 64 * 1024
const line = 5_000

function pacesOf(ms: Readonly<Record<string, number>>, times = 3): Paces {
  const paces = new Paces()
  for (const [peer, each] of Object.entries(ms)) {
    for (let n = 0; n < times; n += 1) paces.came(peer, frame, each)
  }
  return paces
}

test('a peer is slow when its frames take much longer than those of most', t => {
  const paces = pacesOf({ a: 13, b: 15, c: 20, d: 260 })
  t.true(paces.isSlow('d', line))
  for (const peer of ['a', 'b', 'c', 'nobody']) t.false(paces.isSlow(peer, line))
})

test('when all are slow, nobody is', t => {
  const paces = pacesOf({ a: 260, b: 250, c: 300 })
  for (const peer of ['a', 'b', 'c']) t.false(paces.isSlow(peer, line))
})

test('nobody is slow by one frame, by small ones, or on a line that is not known or no quicker', t => {
  t.false(pacesOf({ a: 13, b: 15, d: 260 }, 1).isSlow('d', line))
  const paces = pacesOf({ a: 13, b: 15, d: 260 })
  t.false(paces.isSlow('d', 0))
  t.false(paces.isSlow('d', 600))
  const small = new Paces()
  for (let n = 0; n < 9; n += 1) small.came('d', 1_000, 500)
  t.false(small.isSlow('d', line))
  paces.forget('d')
  t.false(paces.isSlow('d', line))
})
