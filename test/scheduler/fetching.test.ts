import test from 'ava'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

const spareRequestsMax = 16

test('nothing is asked for before somebody has it, then it is', t => {
  const fetcher = new Fetcher(4)
  t.deepEqual(fetcher.want([0, 1]), [])
  fetcher.meet('a')
  t.deepEqual(inWords(fetcher.apply({ type: 'has', peer: 'a', items: [1, 3] })), [
    'request 1 of a background'
  ])
  const bits = Uint8Array.of(0b1000_0000)
  t.deepEqual(inWords(fetcher.apply({ type: 'has-map', peer: 'a', first: 0, bits })), [
    'request 0 of a background'
  ])
})

test('urgent items are asked for before prefetch before background', t => {
  const fetcher = new Fetcher(40)
  fetcher.want(range(0, 20))
  fetcher.want([20, 21], 'prefetch')
  fetcher.want([30, 31], 'urgent')
  fetcher.join('a')
  const classes = requestsIn(fetcher.actions).map(request => request.class)
  t.deepEqual(classes.slice(0, 5), ['urgent', 'urgent', 'prefetch', 'prefetch', 'background'])
})

test('an item that becomes urgent on its way is asked for again, of the same peer', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'agent')
  const [first] = requestsIn(fetcher.want([2]))
  t.deepEqual(inWords(fetcher.want([2], 'urgent')), [`request 2 of ${first?.peer} urgent`])
  t.deepEqual(fetcher.want([2], 'urgent'), [])
})

test('an urgent item is asked of the seed while few hold it', t => {
  const fetcher = new Fetcher(10)
  fetcher.join('agent-1', 'agent-2', 'seed')
  t.deepEqual(inWords(fetcher.want([0], 'urgent')), ['request 0 of seed urgent'])
  fetcher.join('agent-3')
  // All three know nothing of how quick they are; the seed has one request in front already.
  const [third] = requestsIn(fetcher.want([1], 'urgent'))
  t.true(third?.peer.startsWith('agent'), third?.peer)
})

test('what agents have is left to them in the background', t => {
  const fetcher = new Fetcher(10)
  fetcher.join('seed')
  fetcher.meet('agent')
  fetcher.apply({ type: 'has', peer: 'agent', items: [3, 4] })
  fetcher.want(range(0, 6))
  const byAgent = requestsIn(fetcher.actions).filter(({ peer }) => peer === 'agent')
  t.deepEqual(byAgent.map(({ item }) => item).toSorted(), [3, 4])
  t.is(fetcher.out.size, 2)
  t.true(inWords(fetcher.actions).includes('more of seed'))
})

test('the quicker peer is asked more', t => {
  const fetcher = new Fetcher(200)
  fetcher.join('quick', 'slow')
  const counts = { quick: 0, slow: 0 }
  for (const item of range(0, 100)) {
    const [request] = requestsIn(fetcher.want([item]))
    const peer = request?.peer === 'quick' ? 'quick' : 'slow'
    counts[peer] += 1
    fetcher.now += peer === 'quick' ? 5 : 200
    fetcher.apply({ type: 'settled', item })
  }
  t.true(counts.quick > 5 * counts.slow, JSON.stringify(counts))
})

test('a redirect is followed to a peer that is connected', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.want([1], 'urgent')
  const followed = fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  t.deepEqual(inWords(followed), ['request 1 of a urgent'])
})

test('a redirect is followed to a peer that has to be connected first', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.want([1], 'urgent')
  const followed = fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  t.deepEqual(inWords(followed), ['connect a'])
  t.false(fetcher.isPromised(1))
  const joined = fetcher.apply({ type: 'peer', peer: 'a', role: 'agent' })
  t.deepEqual(inWords(joined), ['request 1 of a urgent'])
  fetcher.apply({ type: 'accepted', peer: 'a', item: 1, waiting: true })
  t.true(fetcher.isPromised(1))
})

test('a redirect that leads nowhere goes back to the seed, which must serve', t => {
  const endings = ['unreachable', 'gone', 'refused'] as const
  for (const ending of endings) {
    const fetcher = new Fetcher(4)
    fetcher.join('seed')
    fetcher.want([1], 'urgent')
    fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
    if (ending !== 'unreachable') fetcher.meet('a')
    const back = fetcher.apply(
      ending === 'refused'
        ? { type: 'refused', peer: 'a', item: 1, reason: 'given-up' }
        : { type: ending, peer: 'a' }
    )
    t.deepEqual(inWords(back), ['request 1 of seed urgent insisting'], ending)
  }
})

test('a redirect to nobody else than who was tried in vain is answered by insisting', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('a')
  fetcher.want([1], 'urgent')
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'not-held' })
  const again = fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['a'] })
  t.deepEqual(inWords(again), ['request 1 of seed urgent insisting'])
})

test('a refusal sends the request to another peer at once, and back after a while', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'a', 'b')
  fetcher.want([1], 'urgent')
  const tried = ['seed']
  while (tried.length < 3) {
    const peer = tried.at(-1) ?? ''
    const actions = fetcher.apply({ type: 'refused', peer, item: 1, reason: 'busy' })
    const [next] = requestsIn(actions)
    t.true(actions.some(({ type }) => type === 'abandoned'))
    tried.push(next?.peer ?? '')
  }
  t.is(new Set(tried).size, 3, tried.join(' '))
  fetcher.apply({ type: 'refused', peer: tried.at(-1) ?? '', item: 1, reason: 'busy' })
  t.is(fetcher.out.size, 0)
  fetcher.pass(200)
  t.is(fetcher.out.size, 1)
})

test('who says that it has not got an item is not asked until it says otherwise', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('a')
  fetcher.want([1])
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'not-held' })
  fetcher.pass(10_000)
  t.is(fetcher.out.size, 0)
  fetcher.apply({ type: 'has', peer: 'a', items: [1] })
  t.is(fetcher.out.get(1), 'a')
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'busy' })
  fetcher.apply({ type: 'has-not', peer: 'a', items: [1] })
  fetcher.pass(1_000)
  t.is(fetcher.out.size, 0)
})

test('who sent corrupt bytes is not asked for that item again soon', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('bad', 'good')
  const [first] = requestsIn(fetcher.want([1], 'urgent'))
  const bad = first?.peer ?? ''
  fetcher.apply({ type: 'refused', peer: bad, item: 1, reason: 'corrupt' })
  const other = fetcher.out.get(1)
  t.not(other, bad)
  fetcher.apply({ type: 'gone', peer: other ?? '' })
  fetcher.pass(10_000)
  t.is(fetcher.out.size, 0)
})

test('a peer that says nothing at all is left for one that may deliver', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'agent')
  fetcher.want([1], 'urgent')
  t.is(fetcher.out.get(1), 'seed')
  t.deepEqual(fetcher.pass(400), [])
  const moved = inWords(fetcher.pass(300))
  t.deepEqual(moved, ['cancel 1 of seed', 'request 1 of agent urgent insisting'])
})

test('a peer that is busy with other things has longer', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'agent')
  fetcher.want([1], 'urgent')
  t.deepEqual(fetcher.pass(1_200, 'seed', 'agent'), [])
  t.true(inWords(fetcher.pass(1_000, 'seed', 'agent')).includes('cancel 1 of seed'))
})

test('a request that moves is not given up, however long it takes', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'agent')
  fetcher.want([1], 'urgent')
  fetcher.apply({ type: 'accepted', peer: 'seed', item: 1, waiting: false })
  for (let second = 0; second < 60; second += 1) {
    t.deepEqual(fetcher.pass(1_000, 'seed'), [])
    fetcher.apply({ type: 'progress', peer: 'seed', item: 1, bytes: 16_384 })
  }
  t.is(fetcher.out.get(1), 'seed')
})

test('the only peer that can deliver is not given up', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.meet('agent')
  fetcher.want([1], 'urgent')
  t.deepEqual(fetcher.pass(60_000), [])
  fetcher.apply({ type: 'has', peer: 'agent', items: [1] })
  fetcher.pass(100)
  t.is(fetcher.out.get(1), 'agent')
})

test('a connection that does not come is not waited for when another peer can deliver', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed')
  fetcher.want([1], 'urgent')
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 1, to: ['far'] })
  t.deepEqual(fetcher.pass(1_900, 'seed'), [])
  t.deepEqual(inWords(fetcher.pass(300, 'seed')), ['request 1 of seed urgent insisting'])
})

test('requests in the background are bounded, and go on as they are settled', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('a')
  fetcher.want(range(0, 100))
  t.is(fetcher.out.size, spareRequestsMax)
  const seen = new Set(fetcher.out.keys())
  for (let step = 0; step < 100; step += 1) {
    const [item] = fetcher.out.keys()
    fetcher.apply({ type: 'settled', item: item ?? -1 })
    for (const other of fetcher.out.keys()) seen.add(other)
    t.true(fetcher.out.size <= spareRequestsMax)
  }
  t.is(seen.size, 100)
  t.is(fetcher.out.size, 0)
})

test('one peer of several does not get all requests', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('a', 'b', 'c', 'd')
  fetcher.want(range(0, 100))
  for (const peer of ['a', 'b', 'c', 'd']) {
    const count = [...fetcher.out.values()].filter(asked => asked === peer).length
    t.true(count >= 1 && count <= 8, `${peer}: ${count}`)
  }
})

test('urgent items are all asked for, however many', t => {
  const fetcher = new Fetcher(100)
  fetcher.join('seed', 'a', 'b', 'c')
  fetcher.want(range(0, 100), 'urgent')
  t.is(fetcher.out.size, 100)
})

test('background stands back while somebody waits, but for a trickle', t => {
  const fetcher = new Fetcher(1_000)
  fetcher.join('a')
  fetcher.want([0], 'urgent')
  t.is(requestsIn(fetcher.want(range(100, 1_000))).length, 1)
  let background = 0
  for (let step = 0; step < 20; step += 1) {
    for (const [item] of [...fetcher.out]) {
      if (item >= 100) fetcher.apply({ type: 'settled', item })
    }
    background += requestsIn(fetcher.pass(100, 'a')).length
  }
  // Two seconds, one request a second.
  t.true(background >= 1 && background <= 3, `${background} requests`)
  fetcher.apply({ type: 'settled', item: 0 })
  t.true(fetcher.out.size <= 2)
  fetcher.pass(2_400, 'a')
  t.is(fetcher.out.size, spareRequestsMax)
})

test('the trickle in the background adds nothing to what may be out', t => {
  const fetcher = new Fetcher(2_000)
  const peers = range(0, 12).map(n => `a${n}`)
  fetcher.join(...peers)
  fetcher.want([0], 'urgent')
  fetcher.want(range(1, 2_000))
  fetcher.pass(20_000, ...peers)
  t.true(fetcher.out.size <= 1 + spareRequestsMax, `${fetcher.out.size} requests out`)
})

test('each node asks in an order of its own', t => {
  const orderOf = (seed: number): number[] => {
    const fetcher = new Fetcher(200, { seed })
    fetcher.join('a')
    return requestsIn(fetcher.want(range(0, 200))).map(({ item }) => item)
  }
  t.deepEqual(orderOf(1), orderOf(1))
  t.notDeepEqual(orderOf(1), orderOf(2))
})

test('an item that is here is cancelled where it was asked for, and forgotten', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('a')
  fetcher.want([1])
  t.deepEqual(inWords(fetcher.apply({ type: 'settled', item: 1 })), ['cancel 1 of a'])
  t.deepEqual(fetcher.apply({ type: 'settled', item: 1 }), [])
  t.deepEqual(fetcher.pass(1_000), [])
  t.is(requestsIn(fetcher.want([1])).length, 1)
})

test('what was asked of a peer that has gone is asked of another', t => {
  const fetcher = new Fetcher(20)
  fetcher.join('a', 'b')
  fetcher.want(range(0, 8))
  const lost = [...fetcher.out].flatMap(([item, peer]) => (peer === 'a' ? [item] : []))
  t.true(lost.length > 0)
  const actions = fetcher.apply({ type: 'gone', peer: 'a' })
  t.deepEqual(
    inWords(actions).filter(word => word.startsWith('abandoned')),
    lost.map(item => `abandoned ${item}`)
  )
  t.deepEqual(
    [...fetcher.out].toSorted(([a], [b]) => a - b),
    range(0, 8).map(item => [item, 'b'])
  )
})

test('an item counts as promised from when it is accepted until it is not', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('a')
  fetcher.want([1])
  t.false(fetcher.isPromised(1))
  fetcher.apply({ type: 'accepted', peer: 'another', item: 1, waiting: false })
  t.false(fetcher.isPromised(1), 'somebody else accepted what was not asked of it')
  fetcher.apply({ type: 'accepted', peer: 'a', item: 1, waiting: true })
  t.true(fetcher.isPromised(1))
  fetcher.apply({ type: 'progress', peer: 'a', item: 1, bytes: 1 })
  t.true(fetcher.isPromised(1))
  fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'given-up' })
  t.false(fetcher.isPromised(1))
})

test('answers of peers that were not asked change nothing', t => {
  const fetcher = new Fetcher(4)
  fetcher.join('seed', 'a')
  fetcher.want([1], 'urgent')
  t.deepEqual(fetcher.apply({ type: 'refused', peer: 'a', item: 1, reason: 'busy' }), [])
  t.deepEqual(fetcher.apply({ type: 'redirected', peer: 'a', item: 1, to: ['b'] }), [])
  t.deepEqual(fetcher.apply({ type: 'redirected', peer: 'seed', item: 2, to: ['b'] }), [])
  t.is(fetcher.out.get(1), 'seed')
})

test('what a seed has not got it is asked for again after a while, other peers when they say so', t => {
  const fetcher = new Fetcher(3)
  fetcher.join('seed', 'a')
  fetcher.want([1], 'urgent')
  for (const peer of ['seed', 'a', 'seed', 'a']) {
    if (fetcher.out.get(1) !== peer) continue
    fetcher.apply({ type: 'refused', peer, item: 1, reason: 'not-held' })
  }
  t.is(fetcher.out.size, 0)
  fetcher.pass(20_000, 'seed', 'a')
  t.is(fetcher.out.size, 0)
  fetcher.pass(15_000, 'seed', 'a')
  t.is(fetcher.out.get(1), 'seed')
})
