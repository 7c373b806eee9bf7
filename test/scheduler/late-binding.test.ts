import test from 'ava'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

// What a seed picks for a node that fetches, and what the node does with it.

const moresOf = (fetcher: Fetcher, seed = 'seed'): number =>
  inWords(fetcher.actions).filter(word => word === `more of ${seed}`).length

test('a seed is asked for a few more at a time, never for a background item by name', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('seed')
  fetcher.want(range(0, 100))
  t.is(moresOf(fetcher), 4)
  t.deepEqual(requestsIn(fetcher.actions), [])
  fetcher.pass(10_000, 'seed')
  t.is(moresOf(fetcher), 4, 'nothing was given, so nothing more is taken')
})

test('what is given counts as promised, and the next is taken when it is here', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('seed')
  fetcher.want(range(0, 100))
  t.deepEqual(inWords(fetcher.apply({ type: 'given', peer: 'seed', item: 7 })), ['promised 7'])
  t.is(fetcher.standing(7), 'promised')
  t.is(moresOf(fetcher), 4)
  fetcher.apply({ type: 'progress', peer: 'seed', item: 7, bytes: 1 })
  fetcher.apply({ type: 'settled', item: 7 })
  t.is(moresOf(fetcher), 5)
  t.is(fetcher.standing(7), 'absent')
})

test('nobody takes more than it wants', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  t.is(moresOf(fetcher), 0)
  fetcher.want([1], 'urgent')
  t.is(moresOf(fetcher), 0)
})

test('what is given and not wanted is given back', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.want([1, 2])
  fetcher.apply({ type: 'settled', item: 1 })
  const back = inWords(fetcher.apply({ type: 'given', peer: 'seed', item: 1 }))
  t.deepEqual(back, ['cancel 1 of seed', 'more of seed'])
})

test('what is given and on its way from somebody else is given back', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.apply({ type: 'has', peer: 'a', items: [1] })
  fetcher.want([1, 2])
  fetcher.apply({ type: 'progress', peer: 'a', item: 1, bytes: 1 })
  const back = inWords(fetcher.apply({ type: 'given', peer: 'seed', item: 1 }))
  t.true(back.includes('cancel 1 of seed'))
  t.is(fetcher.out.get(1), 'a')
})

test('what is given takes the place of a request that only waits', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.apply({ type: 'has', peer: 'a', items: [1] })
  fetcher.want([1, 2])
  fetcher.apply({ type: 'accepted', peer: 'a', item: 1, waiting: true })
  const taken = inWords(fetcher.apply({ type: 'given', peer: 'seed', item: 1 }))
  t.deepEqual(taken, ['cancel 1 of a', 'promised 1'])
  t.is(fetcher.standing(1), 'promised')
})

test('what is given while somebody waits for it is asked for as urgently', t => {
  const fetcher = new Fetcher(4)
  fetcher.want([1], 'urgent')
  fetcher.want([2])
  fetcher.join('seed')
  fetcher.apply({ type: 'refused', peer: 'seed', item: 1, reason: 'busy' })
  const taken = inWords(fetcher.apply({ type: 'given', peer: 'seed', item: 1 }))
  t.true(taken.includes('request 1 of seed urgent'))
})

test('a gift that cannot be used makes room for the next', t => {
  const fetcher = new Fetcher(8)
  fetcher.join('seed')
  fetcher.want(range(0, 8))
  const before = moresOf(fetcher)
  fetcher.apply({ type: 'given', peer: 'seed', item: undefined })
  t.is(moresOf(fetcher), before + 1)
})

test('a seed that has given all it has is asked by name, and after a while for more again', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('seed')
  fetcher.want(range(0, 100))
  const none = fetcher.apply({ type: 'no-more', peer: 'seed' })
  t.true(requestsIn(none).length > 0)
  t.true(requestsIn(none).every(({ peer }) => peer === 'seed'))
  for (const item of [...fetcher.out.keys()]) fetcher.apply({ type: 'settled', item })
  const from = fetcher.actions.length
  fetcher.pass(900, 'seed')
  t.false(inWords(fetcher.actions.slice(from)).includes('more of seed'))
  for (const item of [...fetcher.out.keys()]) fetcher.apply({ type: 'settled', item })
  fetcher.want(range(0, 100))
  for (const item of [...fetcher.out.keys()].slice(0, 8)) fetcher.apply({ type: 'settled', item })
  fetcher.pass(400, 'seed')
  for (const item of [...fetcher.out.keys()]) fetcher.apply({ type: 'settled', item })
  t.true(inWords(fetcher.actions.slice(from)).includes('more of seed'))
})

test('while somebody waits, no more than one is taken, and one a second', t => {
  const fetcher = new Fetcher(1_000)
  fetcher.join('seed')
  fetcher.want([0], 'urgent')
  fetcher.apply({ type: 'accepted', peer: 'seed', item: 0, waiting: false })
  fetcher.want(range(1, 1_000))
  const counts = [moresOf(fetcher)]
  for (let item = 1; item <= 40; item += 1) {
    fetcher.apply({ type: 'given', peer: 'seed', item })
    fetcher.apply({ type: 'settled', item })
    fetcher.pass(100, 'seed')
    counts.push(moresOf(fetcher))
  }
  const taken = (counts.at(-1) ?? 0) - (counts[0] ?? 0)
  // Four seconds.
  t.true(taken >= 1 && taken <= 5, `${taken} taken`)
})

test('what is sought counts as promised only when a peer has accepted', t => {
  const fetcher = new Fetcher(4)
  t.is(fetcher.standing(1), 'absent')
  fetcher.join('seed')
  fetcher.want([1], 'urgent')
  t.is(fetcher.standing(1), 'sought')
  const accepted = fetcher.apply({ type: 'accepted', peer: 'seed', item: 1, waiting: true })
  t.deepEqual(inWords(accepted), ['promised 1'])
  t.is(fetcher.standing(1), 'promised')
  t.deepEqual(fetcher.apply({ type: 'accepted', peer: 'seed', item: 1, waiting: false }), [])
})

test('what others have read comes before the rest, and what somebody waits for before both', t => {
  const fetcher = new Fetcher(200)
  fetcher.want(range(0, 200))
  fetcher.apply({ type: 'expected', items: [7, 9, 150] })
  fetcher.want([100], 'urgent')
  fetcher.join('a')
  const asked = requestsIn(fetcher.actions)
  t.deepEqual(
    asked.slice(0, 4).map(({ item, class: wanted }) => [item, wanted]),
    [
      [100, 'urgent'],
      [7, 'prefetch'],
      [9, 'prefetch'],
      [150, 'prefetch']
    ]
  )
})

test('what was said to be read before it was wanted is expected all the same', t => {
  const fetcher = new Fetcher(20)
  fetcher.apply({ type: 'expected', items: [3] })
  fetcher.join('a')
  const [first] = requestsIn(fetcher.want(range(0, 20)))
  t.deepEqual([first?.item, first?.class], [3, 'prefetch'])
})

test('what a peer waits for here is asked for as the peer needs it', t => {
  const fetcher = new Fetcher(20)
  fetcher.join('a')
  fetcher.want([3])
  const raised = fetcher.apply({ type: 'awaited', item: 3, class: 'urgent' })
  t.deepEqual(inWords(raised), ['request 3 of a urgent'])
  t.deepEqual(fetcher.apply({ type: 'awaited', item: 3, class: 'prefetch' }), [])
  t.deepEqual(fetcher.apply({ type: 'awaited', item: 4, class: 'urgent' }), [])
})

test('what a neighbour has read is left to it for a second before a seed is asked', t => {
  const fetcher = new Fetcher(40)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.want(range(0, 40))
  t.deepEqual(requestsIn(fetcher.apply({ type: 'expected', items: [3, 4] })), [])
  t.deepEqual(requestsIn(fetcher.pass(900, 'seed', 'a')), [])
  const told = fetcher.apply({ type: 'has', peer: 'a', items: [3] })
  t.deepEqual(inWords(told), ['request 3 of a prefetch'])
  const late = inWords(fetcher.pass(100, 'seed', 'a'))
  t.deepEqual(late, ['request 4 of seed prefetch'])
})

test('what somebody waits for, or is needed soon for another reason, is asked of a seed at once', t => {
  const fetcher = new Fetcher(40)
  fetcher.join('seed')
  fetcher.want(range(0, 40))
  fetcher.apply({ type: 'expected', items: [3] })
  t.deepEqual(inWords(fetcher.want([3], 'urgent')), ['request 3 of seed urgent'])
  t.deepEqual(inWords(fetcher.want([5], 'prefetch')), ['request 5 of seed prefetch'])
})

test('in a crowd a seed picks what a profile names, but for what is read next', t => {
  const asked = (machines: number): number[] => {
    const fetcher = new Fetcher(100)
    fetcher.join('seed')
    fetcher.apply({ type: 'crowd', machines })
    fetcher.want(range(0, 100))
    fetcher.apply({ type: 'foreseen', items: range(10, 20) })
    return requestsIn(fetcher.actions).map(({ item }) => item)
  }
  t.is(asked(63).length, 10)
  t.deepEqual(asked(64), [10])
})

test('a seed that picks what no profile names is asked by name for what one does', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('seed')
  fetcher.apply({ type: 'crowd', machines: 1000 })
  fetcher.want(range(0, 100))
  fetcher.apply({ type: 'foreseen', items: range(10, 20) })
  fetcher.apply({ type: 'given', peer: 'seed', item: 12 })
  fetcher.apply({ type: 'settled', item: 12 })
  const isAsked = (item: number): boolean =>
    requestsIn(fetcher.actions).some(request => request.item === item)
  t.false(isAsked(15))
  fetcher.apply({ type: 'given', peer: 'seed', item: 50 })
  t.true(isAsked(15))
})
