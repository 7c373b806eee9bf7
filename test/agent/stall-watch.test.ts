import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { StallWatch } from '../../src/agent/stall-watch.ts'
import { HandTimers } from '../helpers/hand-timers.ts'

const missing = { missing: 3, bytesReceived: 100, peers: 2 }

function watch() {
  const timers = new HandTimers(1_000)
  const stalls = new StallWatch(timers)
  stalls.look(missing)
  /** What is said in so many ms, looked at as often as an agent does. */
  const said = (ms: number, look = missing) =>
    Array.from({ length: ms / 1_000 }, () => {
      timers.pass(1_000)
      return stalls.look(look) ?? []
    }).flat()
  return { stalls, said }
}

test('a stall is said with what is missing and why, less and less often', t => {
  const { stalls, said } = watch()
  t.deepEqual(said(limits.stalledMs - 1_000), [])
  stalls.refused('not-held')
  stalls.refused('corrupt')
  stalls.refused('not-held')
  const [stall, ...more] = said(1_000)
  t.like(stall, { event: 'stalled', chunks: 3, answers: ['corrupt', 'not-held'] })
  t.deepEqual(more, [])
  t.is(said(60 * limits.stalledMs).length, 5)
})

test('whatever comes, or is on its way, begins anew, and forgets what was answered before', t => {
  const { stalls, said } = watch()
  stalls.refused('busy')
  t.is(said(limits.stalledMs).length, 1)
  t.deepEqual(said(1_000, { ...missing, missing: 2 }), [])
  t.deepEqual(said(limits.stalledMs - 1_000, { ...missing, missing: 2 }), [])
  stalls.moved()
  t.deepEqual(said(limits.stalledMs - 1_000, { ...missing, missing: 2 }), [])
  t.like(said(1_000, { ...missing, missing: 2 })[0], { chunks: 2, answers: [] })
})

test('it is no stall with nobody there, nothing missing, or no room', t => {
  const { stalls, said } = watch()
  t.deepEqual(said(1e6, { ...missing, peers: 0 }), [])
  t.deepEqual(said(1e6, { ...missing, missing: 0 }), [])
  stalls.full(true)
  t.deepEqual(said(1e6), [])
  stalls.full(false)
  t.is(said(limits.stalledMs).length, 1)
})
