import test from 'ava'
import type { FetchAction } from '../../src/scheduler/fetching.ts'
import { Foresight } from '../../src/scheduler/foresight.ts'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

type LookAgain = Extract<FetchAction, { type: 'look-again' }>

test('a profile that is wrong about much of what is read lately is doubted, until it is right again', t => {
  const foresight = new Foresight()
  foresight.foresee(range(0, 1_000))
  t.false(foresight.isDoubted)
  for (const item of range(0, 100)) foresight.read(item % 5 === 0 ? 1_000 + item : item)
  t.true(foresight.isDoubted)
  t.true(Math.abs(foresight.doubt - 0.2) < 0.1, `${foresight.doubt}`)
  for (const item of range(100, 250)) foresight.read(item)
  t.false(foresight.isDoubted)
})

test('a read now and then that the profile does not name leaves it its trust', t => {
  const foresight = new Foresight()
  foresight.foresee(range(0, 1_000))
  for (const item of range(0, 500)) {
    foresight.read(item % 25 === 0 ? 1_000 + item : item)
    t.false(foresight.isDoubted, `after ${item}`)
  }
})

test('without a profile nothing is doubted, however much is read', t => {
  const foresight = new Foresight()
  for (const item of range(0, 100)) foresight.read(item)
  foresight.foresee([1_000])
  t.false(foresight.isDoubted)
})

test('ahead is what lies behind the last read in the profile, then what was passed over', t => {
  const foresight = new Foresight()
  foresight.foresee([5, 3, 8, 1, 9])
  foresight.expect(9, 0)
  t.deepEqual([...foresight.ahead()], [5, 3, 8, 1])
  foresight.read(3)
  foresight.read(100)
  t.deepEqual([...foresight.ahead()], [8, 1, 5, 3])
  t.is(foresight.expectedSince(9), 0)
})

test('what is foreseen is asked for at once, in that order, before the rest and after what is urgent', t => {
  const fetcher = new Fetcher(60)
  fetcher.want(range(0, 60))
  fetcher.apply({ type: 'foreseen', items: [41, 7, 23] })
  fetcher.want([50], 'urgent')
  fetcher.join('seed')
  const requests = inWords(requestsIn(fetcher.actions))
  t.deepEqual(requests.slice(0, 4), [
    'request 50 of seed urgent',
    'request 41 of seed prefetch',
    'request 7 of seed prefetch',
    'request 23 of seed prefetch'
  ])
})

test('a profile that comes before the wants orders them too, and said again it renews the order', t => {
  const fetcher = new Fetcher(60)
  fetcher.apply({ type: 'foreseen', items: [41, 7, 23] })
  fetcher.want(range(0, 60))
  fetcher.apply({ type: 'foreseen', items: [41, 7, 23] })
  fetcher.join('seed')
  t.deepEqual(
    requestsIn(fetcher.actions).map(({ item }) => item),
    [41, 7, 23]
  )
})

test('what is urgent stays so whatever a profile says of it', t => {
  const fetcher = new Fetcher(10)
  fetcher.want([3], 'urgent')
  fetcher.apply({ type: 'foreseen', items: [3] })
  fetcher.join('seed')
  t.deepEqual(inWords(requestsIn(fetcher.actions)).slice(0, 1), ['request 3 of seed urgent'])
})

/** Who has read twenty items of which its profile named none, and now waits for item 150. */
function doubter(): Fetcher {
  const fetcher = new Fetcher(200)
  fetcher.want(range(0, 200))
  fetcher.apply({ type: 'foreseen', items: range(0, 50) })
  for (const item of range(100, 120)) fetcher.apply({ type: 'read', item })
  for (const item of range(20, 30)) fetcher.apply({ type: 'read', item })
  fetcher.want([150], 'urgent')
  fetcher.join('seed')
  return fetcher
}

test('a doubted profile is in nobody’s way while somebody waits, and goes on when the boot is over', t => {
  const fetcher = doubter()
  t.deepEqual(
    requestsIn(fetcher.actions).map(request => request.class),
    ['urgent']
  )
  fetcher.apply({ type: 'settled', item: 150 })
  fetcher.now = 3_000
  fetcher.apply({ type: 'tick' })
  t.true(requestsIn(fetcher.actions).some(({ item }) => item === 0))
})

test('while the machine thinks, of a doubted profile one at a time is asked for, from where it reads', t => {
  const fetcher = doubter()
  fetcher.now = 50
  const [again] = fetcher.apply({ type: 'settled', item: 150 }).filter(isLookAgain)
  // Nothing has come, so that a frame is taken to need 84 ms.
  t.true(again !== undefined && again.afterMs > 84 && again.afterMs < 300, `${again?.afterMs}`)
  t.deepEqual(fetcher.apply({ type: 'tick' }).filter(isLookAgain), [], 'it is said once')
  fetcher.now += again?.afterMs ?? 0
  t.deepEqual(inWords(requestsIn(fetcher.apply({ type: 'tick' }))), ['request 30 of seed prefetch'])
  const next = requestsIn(fetcher.apply({ type: 'settled', item: 30 }))
  t.deepEqual(inWords(next), ['request 31 of seed prefetch'])
})

const isLookAgain = (action: FetchAction): action is LookAgain => action.type === 'look-again'

test('without the mechanism a profile changes nothing', t => {
  const fetcher = new Fetcher(60, { mechanisms: { profile: false } })
  fetcher.want(range(0, 60))
  fetcher.apply({ type: 'foreseen', items: [41, 7] })
  fetcher.join('seed')
  t.false(requestsIn(fetcher.actions).some(request => request.class === 'prefetch'))
})

test('who is sent on for an item that it foresees asks there at once, with no place free', t => {
  const fetcher = new Fetcher(60)
  fetcher.want(range(0, 60))
  fetcher.apply({ type: 'foreseen', items: range(0, 40) })
  fetcher.meet('a')
  fetcher.join('seed')
  const asked = requestsIn(fetcher.actions)
  const last = asked.at(-1)?.item ?? -1
  const sent = fetcher.apply({ type: 'redirected', peer: 'seed', item: last, to: ['a'] })
  t.is(inWords(sent)[0], `request ${last} of a prefetch`)
})

test('what a stream of reads will come to is asked for before the rest', t => {
  const fetcher = new Fetcher(60, { mechanisms: { readAhead: true } })
  fetcher.want(range(0, 60))
  fetcher.apply({ type: 'ahead', items: [31, 32] })
  fetcher.join('seed')
  t.deepEqual(
    requestsIn(fetcher.actions).map(({ item }) => item),
    [31, 32]
  )
  const without = new Fetcher(60, { mechanisms: { readAhead: false } })
  without.want(range(0, 60))
  without.apply({ type: 'ahead', items: [31, 32] })
  without.join('seed')
  t.deepEqual(requestsIn(without.actions), [])
})

test('how far ahead is fetched grows with the line and with the time that answers take', t => {
  const fetcher = new Fetcher(60)
  t.is(fetcher.aheadBytes, 256 * 1024)
  fetcher.join('seed')
  for (const item of range(0, 20)) {
    fetcher.want([item], 'urgent')
    fetcher.now += 100
    fetcher.apply({ type: 'progress', peer: 'seed', item, bytes: 1_000_000 })
    fetcher.apply({ type: 'settled', item })
  }
  // 10,000 bytes a ms for twice about 100 ms.
  t.true(fetcher.aheadBytes > 1_500_000 && fetcher.aheadBytes < 2_500_000, `${fetcher.aheadBytes}`)
})
