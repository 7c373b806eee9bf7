import test from 'ava'
import { Availability } from '../../src/scheduler/availability.ts'
import { PeerTable } from '../../src/scheduler/peer-table.ts'
import { Rack } from '../../src/scheduler/rack.ts'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

const itemCount = 200

function rackOf(self: string, others: readonly string[]): Rack {
  const peers = new PeerTable()
  const have = new Availability(itemCount)
  for (const id of others) {
    peers.join(id, 'agent', 0)
    have.setMap(id, 0, new Uint8Array(itemCount / 8))
  }
  const rack = new Rack(self, peers, have)
  rack.moved(0)
  return rack
}

test('of the machines of a rack, each item is brought in by one', t => {
  const names = ['a', 'b', 'c', 'd']
  const racks = names.map(name =>
    rackOf(
      name,
      names.filter(other => other !== name)
    )
  )
  const counts = racks.map(rack => range(0, itemCount).filter(item => rack.brings(item, 0)).length)
  t.is(
    counts.reduce((sum, count) => sum + count, 0),
    itemCount
  )
  t.true(counts.every(count => count > itemCount / 8))
})

test('who works on another image brings nothing in, and whom it would be left to does not come', t => {
  const peers = new PeerTable()
  peers.join('b', 'agent', 0)
  const rack = new Rack('a', peers, new Availability(itemCount))
  rack.moved(0)
  t.false(rack.hasOthers)
  t.true(range(0, itemCount).every(item => rack.brings(item, 0)))
})

test('when nothing comes for a while, a machine brings in what was left to others', t => {
  const rack = rackOf('a', ['b', 'c', 'd'])
  const left = range(0, itemCount).find(item => !rack.brings(item, 0)) ?? -1
  t.false(rack.brings(left, 1_000))
  t.true(rack.brings(left, 1_001))
})

test('little is under way across while it takes long, and more while it does not', t => {
  const rack = rackOf('a', [])
  const bring = (now: number): number[] => {
    const items = range(0, itemCount)
      .filter(item => rack.brings(item, now))
      .slice(0, 50)
    const taken: number[] = []
    for (const item of items) {
      if (!rack.brings(item, now)) break
      rack.bringing(item, now)
      taken.push(item)
    }
    return taken
  }
  let out = bring(0)
  const first = out.length
  for (let round = 0; round < 5; round += 1) {
    for (const item of out) rack.over(item, round * 10 + 10)
    out = bring(round * 10 + 10)
  }
  t.true(out.length > first)
  t.false(rack.brings(199, 1_000), 'what is under way is late')
  for (const item of out) rack.over(item, 3_000)
  t.is(bring(3_000).length, 1)
})

test('a near holder is asked first; for a read that only other racks can answer, the seed', t => {
  const fetcher = new Fetcher(8, { self: 'me' })
  fetcher.join('seed')
  for (const peer of ['near', 'far', 'far2', 'far3']) {
    fetcher.apply({ type: 'peer', peer, role: 'agent', isFar: peer !== 'near' })
  }
  fetcher.apply({ type: 'has', peer: 'near', items: [0] })
  for (const peer of ['far', 'far2', 'far3']) {
    fetcher.apply({ type: 'has', peer, items: [0, 1, 2] })
  }
  t.deepEqual(inWords(fetcher.want([0], 'urgent')), ['request 0 of near urgent'])
  t.deepEqual(inWords(fetcher.want([1], 'urgent')), ['request 1 of seed urgent'])
})

test('without nearness, and for who does not know its own name, all are as near as any', t => {
  for (const options of [{}, { self: 'me', mechanisms: { nearness: false } }]) {
    const fetcher = new Fetcher(8, options)
    fetcher.join('seed')
    for (const peer of ['near', 'far', 'far2']) {
      fetcher.apply({ type: 'peer', peer, role: 'agent', isFar: peer !== 'near' })
      fetcher.apply({ type: 'has', peer, items: [1] })
    }
    fetcher.apply({ type: 'has', peer: 'far2', items: [2] })
    t.false(requestsIn(fetcher.want([1], 'urgent')).some(({ peer }) => peer === 'seed'))
  }
})

test('what only other racks have is brought in by the machine whose turn it is, and by no other', t => {
  const names = ['a', 'b', 'c']
  const asked = names.map(self => {
    const fetcher = new Fetcher(40, { self })
    for (const peer of names.filter(name => name !== self)) {
      fetcher.meet(peer)
      fetcher.apply({ type: 'has', peer, items: [39] })
    }
    fetcher.apply({ type: 'peer', peer: 'far', role: 'agent', isFar: true })
    fetcher.apply({ type: 'has', peer: 'far', items: range(0, 39) })
    // Something has just moved, so that nobody loses patience.
    fetcher.want([39])
    fetcher.apply({ type: 'settled', item: 39 })
    return requestsIn(fetcher.want(range(0, 39))).map(({ item }) => item)
  })
  t.true(asked.flat().length > 0)
  t.is(new Set(asked.flat()).size, asked.flat().length)
})
