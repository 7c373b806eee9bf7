import test from 'ava'
import { homeOf } from '../../src/scheduler/rendezvous.ts'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

// When what somebody waits for stands still, and which of several seeds is asked.

const busyWith = (fetcher: Fetcher, ms: number, ...peers: string[]): string[] =>
  inWords(fetcher.pass(ms, ...peers))

test('an urgent request that stands still is asked elsewhere after the time that is set', t => {
  const fetcher = new Fetcher(4, { fallbackMs: 100 })
  fetcher.join('seed', 'agent')
  fetcher.want([1], 'urgent')
  t.deepEqual(busyWith(fetcher, 100, 'seed', 'agent'), [])
  t.deepEqual(busyWith(fetcher, 100, 'seed', 'agent'), [
    'cancel 1 of seed',
    'abandoned 1',
    'request 1 of agent urgent'
  ])
})

test('each fall-back of a request has twice the time of the one before, and then insists', t => {
  const fetcher = new Fetcher(4, { fallbackMs: 100 })
  fetcher.join('seed', 'a', 'b', 'c')
  fetcher.want([1], 'urgent')
  const waits: number[] = []
  let since = 0
  for (let step = 0; step < 30; step += 1) {
    const asked = requestsIn(fetcher.pass(100, 'seed', 'a', 'b', 'c'))
    if (asked.length === 0) continue
    waits.push(fetcher.now - since)
    since = fetcher.now
    t.is(asked[0]?.insist, waits.length > 1)
  }
  t.true(waits.length >= 3)
  for (const [n, wait] of waits.slice(1).entries()) t.true(wait > (waits[n] ?? 0))
})

test('what nobody waits for, and what waits in a chain, has the usual time', t => {
  const fetcher = new Fetcher(40, { fallbackMs: 100 })
  fetcher.join('a', 'b')
  fetcher.want([1], 'prefetch')
  fetcher.want([2], 'urgent')
  const peer = fetcher.out.get(2) ?? ''
  fetcher.apply({ type: 'accepted', peer, item: 2, waiting: true })
  t.deepEqual(busyWith(fetcher, 1_400, 'a', 'b'), [])
  const words = busyWith(fetcher, 300, 'a', 'b')
  for (const item of [1, 2]) t.true(words.some(word => word.startsWith(`cancel ${item} of`)))
})

test('those who wait here go on waiting only while a peer must serve what they wait for', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('a', 'b')
  fetcher.want([1], 'urgent')
  const first = fetcher.out.get(1) ?? ''
  const second = first === 'a' ? 'b' : 'a'
  fetcher.apply({ type: 'accepted', peer: first, item: 1, waiting: true })
  t.deepEqual(busyWith(fetcher, 1_600, 'a', 'b'), [
    `cancel 1 of ${first}`,
    `request 1 of ${second} urgent insisting`
  ])
  const refused = fetcher.apply({ type: 'refused', peer: second, item: 1, reason: 'not-held' })
  t.deepEqual(inWords(refused), ['abandoned 1'])
})

test('those who wait here are told when the next peer may send us on', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('a', 'b')
  fetcher.want([1], 'urgent')
  const refused = { type: 'refused', peer: 'a', item: 1, reason: 'given-up' } as const
  t.deepEqual(
    inWords(fetcher.apply({ ...refused, peer: fetcher.out.get(1) ?? '' }))[0],
    'abandoned 1'
  )
})

test('what nobody waits for leaves a seed alone for a second that has no room for it', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.want([1], 'prefetch')
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'given-up' })
  t.is(fetcher.out.get(1), 'seed')
  fetcher.apply({ type: 'refused', peer: 'seed', item: 1, reason: 'busy' })
  t.deepEqual(busyWith(fetcher, 900, 'seed', 'a'), [])
  t.deepEqual(busyWith(fetcher, 200, 'seed', 'a'), ['request 1 of seed prefetch insisting'])
})

test('what becomes urgent on its way is late only when somebody has waited so long', t => {
  const fetcher = new Fetcher(4, { fallbackMs: 100 })
  fetcher.join('a', 'b')
  fetcher.want([1], 'prefetch')
  busyWith(fetcher, 1_000, 'a', 'b')
  fetcher.want([1], 'urgent')
  t.deepEqual(busyWith(fetcher, 100, 'a', 'b'), [])
  t.true(busyWith(fetcher, 100, 'a', 'b').includes('abandoned 1'))
})

test('a peer that always takes long is not late for that', t => {
  const fetcher = new Fetcher(100, { fallbackMs: 100, mechanisms: { hedging: false } })
  fetcher.join('far', 'other')
  for (const item of range(0, 40)) {
    fetcher.want([item], 'urgent')
    busyWith(fetcher, 80, 'far', 'other')
    fetcher.apply({ type: 'settled', item })
  }
  fetcher.want([99], 'urgent')
  t.deepEqual(busyWith(fetcher, 200, 'far', 'other'), [])
  t.true(busyWith(fetcher, 300, 'far', 'other').includes('abandoned 99'))
})

test('a seed that has had no room for what was late is not fallen back to for a while', t => {
  const fetcher = new Fetcher(8, { fallbackMs: 100 })
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.want([1], 'urgent')
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'given-up' })
  fetcher.apply({ type: 'refused', peer: 'seed', item: 1, reason: 'busy' })
  fetcher.apply({ type: 'settled', item: 1 })
  fetcher.want([2], 'urgent')
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 2, to: ['a'] })
  t.is(fetcher.out.get(2), 'a')
  t.deepEqual(busyWith(fetcher, 900, 'seed', 'a'), [])
  t.true(busyWith(fetcher, 700, 'seed', 'a').includes('request 2 of seed urgent insisting'))
})

test('of several seeds an item is asked of its home, then of the next', t => {
  const seeds = ['seed0', 'seed1', 'seed2']
  for (const item of range(0, 20)) {
    const fetcher = new Fetcher(20)
    fetcher.join(...seeds)
    let left = seeds
    fetcher.want([item], 'urgent')
    while (left.length > 0) {
      const home = homeOf(left, String(item)) ?? ''
      t.is(fetcher.out.get(item), home)
      fetcher.apply({ type: 'gone', peer: home })
      left = left.filter(id => id !== home)
    }
  }
})

test('an item has its home by its id', t => {
  const seeds = ['seed0', 'seed1', 'seed2']
  const idOf = (item: number): string => `id of ${item}`
  const fetcher = new Fetcher(40, { idOf })
  fetcher.join(...seeds)
  fetcher.want(range(0, 40), 'urgent')
  t.deepEqual(
    [...fetcher.out],
    range(0, 40).map(item => [item, homeOf(seeds, idOf(item))])
  )
})

test('while the id is not known, any seed is asked', t => {
  const fetcher = new Fetcher(4, { idOf: () => undefined })
  fetcher.join('seed0', 'seed1')
  fetcher.want([1], 'urgent')
  t.is(fetcher.out.size, 1)
})
