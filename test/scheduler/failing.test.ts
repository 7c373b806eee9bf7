import test from 'ava'
import { Failing } from '../../src/scheduler/failing.ts'

test('a peer that others were sent to in vain is not named for a while, twice as long each time', t => {
  const failing = new Failing()
  t.false(failing.isFailing('a', 0))
  failing.failed('a', 0)
  t.true(failing.isFailing('a', 999))
  t.false(failing.isFailing('a', 1_000))
  failing.failed('a', 1_000)
  t.true(failing.isFailing('a', 2_999))
  t.false(failing.isFailing('a', 3_000))
  t.false(failing.isFailing('b', 500))
})

test('failures at the same time are one failure, and there is an end to the doubling', t => {
  const failing = new Failing()
  for (let n = 0; n < 20; n += 1) failing.failed('a', 100)
  t.false(failing.isFailing('a', 1_100))
  let now = 2_000
  for (let n = 0; n < 40; n += 1, now += 100_000) failing.failed('a', now)
  t.true(failing.isFailing('a', now - 100_000 + 59_999))
  t.false(failing.isFailing('a', now - 100_000 + 60_000))
})

test('a peer that delivers is as good as any', t => {
  const failing = new Failing()
  failing.failed('a', 0)
  failing.delivered('a')
  t.false(failing.isFailing('a', 1))
  failing.failed('a', 2)
  t.false(failing.isFailing('a', 1_002), 'it starts anew')
})
