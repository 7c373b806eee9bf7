import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { News } from '../../src/agent/news.ts'
import { HandTimers } from '../helpers/hand-timers.ts'
import { FakeLink } from '../swarm/fake-link.ts'

const patience = { patientMs: 1_000, enough: limits.haveItemsEnough }

function telling() {
  const timers = new HandTimers()
  const news = new News('image', timers)
  const peer = new FakeLink('peer')
  news.listeners.add(peer.link)
  const toldOf = (type: 'have' | 'read'): number[] =>
    peer.sentOf(type).flatMap(({ items }) => [...items])
  return { timers, news, peer, toldOf }
}

test('little news waits for more, not for ever', t => {
  const { timers, news, toldOf } = telling()
  news.changed(1, true, patience)
  timers.pass(500)
  news.changed(2, true, patience)
  timers.pass(499)
  t.deepEqual(toldOf('have'), [])
  timers.pass(1)
  t.deepEqual(toldOf('have'), [1, 2], 'told when the first has waited long enough')
})

test('much news goes out soon, in one message', t => {
  const { timers, news, peer, toldOf } = telling()
  for (let item = 0; item < limits.haveItemsEnough; item += 1) news.changed(item, true, patience)
  timers.pass(limits.haveIntervalMs)
  t.is(toldOf('have').length, limits.haveItemsEnough)
  t.is(peer.sentOf('have').length, 1)
  timers.pass(5_000)
  t.is(peer.sent.length, 1, 'and nothing is said twice')
})

test('without a number that is enough, only time counts', t => {
  const { timers, news, peer } = telling()
  for (let item = 0; item < 100; item += 1) news.changed(item, true, { patientMs: 1_000 })
  timers.pass(999)
  t.deepEqual(peer.sent, [])
  timers.pass(1)
  t.is(peer.sent.length, 1)
})

test('what was read goes out at once, and takes along what could have waited', t => {
  const { timers, news, peer } = telling()
  news.changed(1, true, patience)
  news.changed(2, false, patience)
  news.read(3)
  timers.pass(limits.readIntervalMs)
  t.deepEqual(
    peer.sent.map(({ type }) => type),
    ['have', 'have-not', 'read']
  )
})

test('when it is stopped, nothing more is said', t => {
  const { timers, news, peer } = telling()
  news.read(1)
  news.stop()
  timers.pass(5_000)
  t.deepEqual(peer.sent, [])
})
