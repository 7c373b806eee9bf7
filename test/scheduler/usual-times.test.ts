import test from 'ava'
import { UsualTimes } from '../../src/scheduler/usual-times.ts'

test('of the last times, 95 of a hundred are no longer', t => {
  const times = new UsualTimes()
  for (let n = 1; n <= 7; n += 1) times.add(n)
  t.is(times.p95Ms, undefined, 'too few')
  times.add(8)
  t.is(times.p95Ms, 8)
  for (let n = 1; n <= 1_000; n += 1) times.add(n % 100)
  const { p95Ms = 0 } = times
  t.true(p95Ms >= 90 && p95Ms < 100, String(p95Ms))
})
