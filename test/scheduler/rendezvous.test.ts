import test from 'ava'
import fc from 'fast-check'
import { homeOf, weightOf } from '../../src/scheduler/rendezvous.ts'

const seeds = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 52 }), {
  minLength: 1,
  maxLength: 8
})
const chunk = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), maxLength: 64 })

test('every chunk has exactly one home, in whatever order the seeds are named', t => {
  fc.assert(
    fc.property(seeds, chunk, (ids, id) => {
      const home = homeOf(ids, id)
      t.true(home !== undefined && ids.includes(home))
      t.is(homeOf(ids.toReversed(), id), home)
      t.is(homeOf([...ids, ...ids], id), home)
    })
  )
})

test('a seed that goes takes only its own chunks with it', t => {
  fc.assert(
    fc.property(seeds, fc.array(chunk, { maxLength: 40 }), fc.nat(), (ids, chunks, pick) => {
      const gone = ids[pick % ids.length]
      const left = ids.filter(id => id !== gone)
      for (const id of chunks) {
        const before = homeOf(ids, id)
        if (before !== gone) t.is(homeOf(left, id), before)
      }
    })
  )
})

test('without a seed there is no home', t => {
  t.is(homeOf([], 'ab'), undefined)
})

test('seeds get about the same share', t => {
  const ids = ['12D3KooWA', '12D3KooWB', '12D3KooWC', 'seed0', 'seed1']
  const counts = new Map(ids.map(id => [id, 0]))
  for (let n = 0; n < 5_000; n += 1) {
    const home = homeOf(ids, n.toString(16).padStart(64, '0')) ?? ''
    counts.set(home, (counts.get(home) ?? 0) + 1)
  }
  for (const [id, count] of counts) t.true(count > 800 && count < 1_200, `${id}: ${count}`)
})

// Seeds and agents of different versions have to agree.
test('the weights are these for good', t => {
  t.deepEqual(
    [weightOf('', ''), weightOf('seed0', '0'), weightOf('seed1', 'ab'.repeat(32))],
    [1_743_282_159, 2_372_993_524, 2_879_612_693]
  )
})
