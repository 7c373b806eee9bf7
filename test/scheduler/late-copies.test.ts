import test from 'ava'
import fc from 'fast-check'
import { LateCopies } from '../../src/scheduler/late-copies.ts'

const savedMax = 8

test('a seed that sends little has room for a few late ones each second', t => {
  const late = new LateCopies()
  let taken = 0
  for (let now = 0; now < 10_000; now += 10) if (late.take(now)) taken += 1
  t.true(taken >= 40 && taken <= 40 + savedMax, `${taken}`)
})

test('a seed that sends much has room for a tenth of it', t => {
  const late = new LateCopies()
  let taken = 0
  for (let now = 0; now < 10_000; now += 1) {
    late.sent()
    if (late.take(now)) taken += 1
  }
  // Ten thousand sent, and the few of ten seconds.
  t.true(taken >= 1_000 && taken <= 1_000 + 40 + savedMax, `${taken}`)
})

test('nothing is ever beyond the share, and somebody gets one within half a second', t => {
  const step = fc.record({ ms: fc.nat(300), sent: fc.nat(20), asks: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), steps => {
      const late = new LateCopies()
      let now = 0
      let sent = 0
      let taken = 0
      for (const made of steps) {
        now += made.ms
        for (let n = 0; n < made.sent; n += 1) late.sent()
        sent += made.sent
        for (let n = 0; n < made.asks; n += 1) if (late.take(now)) taken += 1
      }
      t.true(taken <= savedMax + sent / 10 + (now * 4) / 1_000 + 1e-6)
      t.true(late.take(now + 500))
    })
  )
})
