import test from 'ava'
import { Serving } from '../../src/scheduler/serving.ts'
import { Fetcher, range } from './fetcher.ts'

// Lines that are slow, peers that promise and do not send, peers that send rubbish.

test('on a slow line a request that stands still while others move is not given up', t => {
  const fetcher = new Fetcher(16)
  for (const peer of ['a', 'b']) {
    fetcher.apply({ type: 'peer', peer, role: 'agent' })
    fetcher.apply({ type: 'has-all', peer })
  }
  fetcher.apply({ type: 'want', items: range(0, 16), class: 'background' })
  const asked = fetcher.out.size
  t.true(asked > 2)
  const [first = 0] = fetcher.out.keys()
  const peer = fetcher.out.get(first) ?? ''
  // A segment of one frame each 131 ms: 1 Mbit/s; the others wait for their turn.
  for (let n = 0; n < 30; n += 1) {
    fetcher.apply({ type: 'heard', peer })
    fetcher.apply({ type: 'progress', peer, item: first, bytes: 16_384 })
    fetcher.apply({ type: 'tick' })
    fetcher.now += 131
  }
  t.is(fetcher.out.size, asked)
  t.deepEqual(
    fetcher.actions.filter(({ type }) => type === 'cancel'),
    []
  )
})

test('what was asked of a peer that turns out to be slow is asked of another before it has begun', t => {
  const fetcher = new Fetcher(24)
  const frameTakes = (peer: string, item: number, ms: number): void => {
    fetcher.apply({ type: 'progress', peer, item, bytes: 16_384 })
    fetcher.now += ms
    fetcher.apply({ type: 'progress', peer, item, bytes: 32_768 })
    fetcher.apply({ type: 'settled', item })
  }
  fetcher.join('quick', 'swift')
  for (const item of range(0, 20)) {
    fetcher.apply({ type: 'want', items: [item], class: 'urgent' })
    frameTakes(fetcher.out.get(item) ?? '', item, 10)
  }
  for (const peer of ['quick', 'swift']) {
    fetcher.apply({ type: 'has-not', peer, items: range(20, 24) })
  }
  fetcher.join('slow')
  fetcher.apply({ type: 'want', items: range(20, 24), class: 'prefetch' })
  t.true([...fetcher.out.values()].every(peer => peer === 'slow'))
  fetcher.join('other')
  for (const item of [20, 21]) frameTakes('slow', item, 200)
  fetcher.apply({ type: 'progress', peer: 'slow', item: 22, bytes: 100 })
  fetcher.apply({ type: 'tick' })
  t.deepEqual(
    [...fetcher.out].sort(),
    [
      [22, 'slow'],
      [23, 'other']
    ],
    'what has begun to come is waited for'
  )
})

test('who waits in a long chain waits less long once another has the chunk', t => {
  const waitsMs = (isElsewhere: boolean): number => {
    const fetcher = new Fetcher(4)
    fetcher.join('seed')
    for (const peer of ['a', 'b']) fetcher.apply({ type: 'peer', peer, role: 'agent' })
    fetcher.apply({ type: 'foreseen', items: [0] })
    fetcher.apply({ type: 'want', items: [0], class: 'prefetch' })
    fetcher.apply({ type: 'redirected', peer: 'seed', item: 0, to: ['a'] })
    fetcher.apply({ type: 'accepted', peer: 'a', item: 0, waiting: true })
    if (isElsewhere) fetcher.apply({ type: 'has', peer: 'b', items: [0] })
    while (fetcher.out.get(0) === 'a' && fetcher.now < 1_000_000) {
      fetcher.now += 100
      fetcher.apply({ type: 'heard', peer: 'a' })
      fetcher.apply({ type: 'tick' })
    }
    t.is(fetcher.out.get(0), isElsewhere ? 'b' : 'seed')
    return fetcher.now
  }
  t.true(waitsMs(true) < waitsMs(false) / 2)
})

test('a peer that was banned is left at once, and no redirect leads to it', t => {
  const fetcher = new Fetcher(4)
  fetcher.apply({ type: 'peer', peer: 'liar', role: 'agent' })
  fetcher.apply({ type: 'has-all', peer: 'liar' })
  fetcher.apply({ type: 'want', items: [0], class: 'urgent' })
  t.is(fetcher.out.get(0), 'liar')
  fetcher.apply({ type: 'banned', peer: 'liar' })
  fetcher.apply({ type: 'peer', peer: 'seed', role: 'seed' })
  fetcher.apply({ type: 'has-all', peer: 'seed' })
  t.is(fetcher.out.get(0), 'seed')
  fetcher.actions.length = 0
  fetcher.apply({ type: 'redirected', peer: 'seed', item: 0, to: ['liar'] })
  t.false(fetcher.actions.some(action => action.type === 'connect'))
  const again = fetcher.actions.find(action => action.type === 'request')
  t.like(again, { peer: 'seed', item: 0, insist: true })
})

test('who was named in vain is not named to others, and its copy does not count as one that is out', t => {
  const serving = new Serving('seed')
  const want = { id: 'c', class: 'urgent', insist: false } as const
  t.deepEqual(serving.decide({ ...want, peer: 'mute' }, 'held', 0), { kind: 'send' })
  serving.holds('mute', 'c')
  t.deepEqual(serving.decide({ ...want, peer: 'a' }, 'held', 1), { kind: 'redirect', to: ['mute'] })
  const insisting = { ...want, peer: 'a', insist: true }
  t.deepEqual(serving.decide(insisting, 'held', 2), { kind: 'send' })
  serving.holds('a', 'c')
  t.deepEqual(serving.decide({ ...want, peer: 'b' }, 'held', 3), { kind: 'redirect', to: ['a'] })
})

test('copies of a chunk that only failing peers have are first copies: no budget bounds them', t => {
  const serving = new Serving('seed')
  for (let n = 0; n < 50; n += 1) {
    const id = `c${n}`
    const want = { id, class: 'urgent', insist: false } as const
    serving.decide({ ...want, peer: 'mute' }, 'held', 0)
    serving.holds('mute', id)
    if (n === 0) serving.decide({ ...want, peer: 'a' }, 'held', 0)
    const decided = serving.decide({ ...want, peer: 'a', insist: n === 0 }, 'held', 0)
    t.deepEqual(decided, { kind: 'send' }, id)
  }
})
