import test from 'ava'
import { limits, type Timers } from '../../src/base/index.ts'
import { News } from '../../src/agent/news.ts'
import { FakeLink } from '../swarm/fake-link.ts'

/** Time that passes when the test says so. */
class HandTimers implements Timers {
  #now = 0
  #waiting = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { at: this.#now + delayMs, run }
    this.#waiting.add(entry)
    return () => this.#waiting.delete(entry)
  }

  pass(ms: number): void {
    const end = this.#now + ms
    const due = [...this.#waiting].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
    for (const entry of due) {
      if (!this.#waiting.delete(entry)) continue
      this.#now = entry.at
      entry.run()
    }
    this.#now = end
  }
}

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
