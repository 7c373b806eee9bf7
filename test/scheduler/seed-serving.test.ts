import test from 'ava'
import type { Gift, RequestClass, ServeDecision } from '../../src/base/index.ts'
import { homeOf } from '../../src/scheduler/rendezvous.ts'
import { Serving } from '../../src/scheduler/serving.ts'

// What only a seed decides: what it picks, what it sends again, what it learns from bitfields.

const imageId = 'image'
const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `c${n}`)
const idOf = (gift: Gift): string | undefined => (gift.kind === 'chunk' ? gift.id : undefined)

function seedOf(chunks: readonly string[]): Serving {
  const seed = new Serving('seed')
  seed.offer(imageId, chunks)
  return seed
}

function ask(
  seed: Serving,
  peer: string,
  id: string,
  options: { class?: RequestClass; insist?: boolean; now?: number } = {}
): ServeDecision {
  const { class: requestClass = 'urgent', insist = false, now = 0 } = options
  return seed.decide({ peer, id, class: requestClass, insist }, 'held', now)
}

const takeAll = (seed: Serving, peer: string, now = 0): string[] => {
  const taken: string[] = []
  for (let id = idOf(seed.next(peer, imageId, now)); id !== undefined;) {
    taken.push(id)
    id = idOf(seed.next(peer, imageId, now))
  }
  return taken
}

test('urgent askers form a chain: each is sent to the one before it', t => {
  const seed = seedOf(ids(1))
  t.is(ask(seed, 'a', 'c0').kind, 'send')
  for (const [before, peer] of [
    ['a', 'b'],
    ['b', 'c'],
    ['c', 'd']
  ] as const) {
    t.deepEqual(ask(seed, peer, 'c0'), { kind: 'redirect', to: [before] })
  }
})

test('an agent keeps one who waits and sends the next to it', t => {
  const agent = new Serving('agent')
  const want = (peer: string) =>
    agent.decide({ peer, id: 'c0', class: 'urgent', insist: false }, 'sought', 0)
  t.is(want('a').kind, 'wait')
  t.deepEqual(want('b'), { kind: 'redirect', to: ['a'] })
  t.deepEqual(want('c'), { kind: 'redirect', to: ['b'] })
})

test('who takes what the seed picks is one to be sent to', t => {
  const seed = seedOf(ids(2))
  t.is(idOf(seed.next('a', imageId, 0)), 'c0')
  t.deepEqual(ask(seed, 'b', 'c0'), { kind: 'redirect', to: ['a'] })
  t.is(ask(seed, 'b', 'c1').kind, 'send')
  t.is(seed.next('c', imageId, 0).kind, 'none', 'c1 has left the seed by name')
})

test('of an image that it does not offer, a seed gives nothing', t => {
  t.is(new Serving('seed').next('a', imageId, 0).kind, 'later')
  t.false(new Serving('seed').offers(imageId))
})

test('an asker that was sent elsewhere in vain is sent to a holder first, then served', t => {
  const seed = seedOf(ids(1))
  ask(seed, 'a', 'c0')
  t.deepEqual(ask(seed, 'b', 'c0'), { kind: 'redirect', to: ['a'] })
  ask(seed, 'h', 'c0')
  seed.holds('h', 'c0')
  t.deepEqual(ask(seed, 'b', 'c0', { insist: true }), { kind: 'redirect', to: ['h'] })
  t.is(ask(seed, 'b', 'c0', { insist: true }).kind, 'send')
})

test('copies for lateness are bounded, and come again with time', t => {
  const seed = seedOf(ids(1))
  ask(seed, 'first', 'c0')
  const late = (from: number, count: number, now: number): string[] =>
    Array.from(
      { length: count },
      (_, n) => ask(seed, `p${from + n}`, 'c0', { insist: true, now }).kind
    )
  const kinds = late(0, 40, 0)
  t.is(kinds.filter(kind => kind === 'send').length, 8)
  t.is(kinds.filter(kind => kind === 'refuse').length, 32)
  t.true(late(40, 1, 500).includes('send'))
  const unbounded = new Serving('seed', { lateBudget: false })
  for (let n = 0; n < 40; n += 1) t.is(ask(unbounded, `p${n}`, 'c0', { insist: true }).kind, 'send')
})

test('a chunk that nobody was given is sent whatever else was late', t => {
  const seed = seedOf(ids(50))
  for (let n = 0; n < 40; n += 1) ask(seed, `p${n}`, 'c0', { insist: true })
  for (const id of ids(50).slice(1)) t.is(ask(seed, 'a', id, { insist: true }).kind, 'send')
})

test('several seeds give each its own chunks first, then those that nobody has confirmed', t => {
  const chunks = ids(200)
  const names = ['seed0', 'seed1', 'seed2']
  for (const self of names) {
    const seed = seedOf(chunks)
    seed.seeds(imageId, self, names)
    const own = chunks.filter(id => homeOf(names, id) === self)
    const taken = takeAll(seed, 'a')
    t.deepEqual(taken.slice(0, own.length), own)
    t.deepEqual(taken.toSorted(), chunks.toSorted(), 'nothing is left out, nothing given twice')
  }
})

test('what another seed has given and a peer has confirmed is not given', t => {
  const chunks = ids(100)
  const seed = seedOf(chunks)
  seed.seeds(imageId, 'seed0', ['seed1'])
  const others = chunks.filter(id => homeOf(['seed0', 'seed1'], id) === 'seed1')
  for (const id of others) seed.holds('b', id)
  const own = chunks.filter(id => !others.includes(id))
  t.deepEqual(takeAll(seed, 'a'), own)
})

test('when a seed goes, its chunks are at home with the others', t => {
  const chunks = ids(100)
  const seed = seedOf(chunks)
  seed.seeds(imageId, 'seed0', ['seed1'])
  const own = chunks.filter(id => homeOf(['seed0', 'seed1'], id) === 'seed0')
  for (const id of own) t.is(idOf(seed.next('a', imageId, 0)), id)
  seed.seeds(imageId, 'seed0', [])
  t.deepEqual(
    takeAll(seed, 'a'),
    chunks.filter(id => !own.includes(id))
  )
})

test('a seed that was restarted learns from bitfields what it need not send again', t => {
  const seed = seedOf(ids(10))
  const held = ['c1', 'c3', 'c4', 'c9']
  for (const id of held) seed.holds('a', id)
  for (const id of held) t.deepEqual(ask(seed, 'b', id), { kind: 'redirect', to: ['a'] })
  t.deepEqual(takeAll(seed, 'b'), ['c0', 'c2', 'c5', 'c6', 'c7', 'c8'])
})

test('of those who say that they hold a chunk, several are remembered, and forgotten as they go', t => {
  const seed = seedOf(ids(1))
  for (const peer of ['a', 'b', 'c']) seed.holds(peer, 'c0')
  seed.gone('a')
  seed.gone('b')
  t.deepEqual(ask(seed, 'd', 'c0'), { kind: 'redirect', to: ['c'] })
  seed.gone('c')
  seed.gone('d')
  t.is(ask(seed, 'e', 'c0').kind, 'send')
})

test('without rebuilding, who got a chunk from elsewhere is nobody to be sent to', t => {
  const seed = new Serving('seed', { rebuilding: false })
  seed.holds('a', 'c0')
  t.is(ask(seed, 'b', 'c0').kind, 'send')
})

test('when all who hold a chunk have gone it is a first copy again: labs come in waves', t => {
  const seed = seedOf(ids(3))
  for (const peer of ['a', 'b']) for (const id of ids(2)) seed.holds(peer, id)
  seed.holds('a', 'c2')
  t.deepEqual(takeAll(seed, 'c'), [])
  seed.gone('a')
  t.deepEqual(takeAll(seed, 'c'), ['c2'])
  seed.gone('b')
  t.deepEqual(takeAll(seed, 'd'), ['c0', 'c1'])
})

test('what a boot is foreseen to read leaves the seed first', t => {
  const seed = seedOf(ids(4))
  seed.prefer(imageId, ['c3', 'c1'])
  t.deepEqual(takeAll(seed, 'a'), ['c3', 'c1', 'c0', 'c2'])
  const without = new Serving('seed', { profile: false })
  without.offer(imageId, ids(4))
  without.prefer(imageId, ['c3', 'c1'])
  t.deepEqual(takeAll(without, 'a'), ids(4))
})
