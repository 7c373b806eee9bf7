import test from 'ava'
import { Takers } from '../../src/swarm/takers.ts'
import { FakeLink } from './fake-link.ts'

const imageId = 'ab'.repeat(32)
const taking = { class: 'background', imageId } as const
const requests = (takers: Takers): number[] => [...takers.first()].map(({ request }) => request)

test('takers come in the order in which they said so; one passed over goes to the end', t => {
  const takers = new Takers()
  const { link } = new FakeLink('a')
  for (const request of [1, 2, 3]) takers.add({ link, request, ...taking })
  t.deepEqual(requests(takers), [1, 2, 3])
  const [first] = takers.first()
  if (first !== undefined) takers.passedOver(first)
  t.deepEqual(requests(takers), [2, 3, 1])
})

test('one that was given something, or has gone, takes no more', t => {
  const takers = new Takers()
  const [a, b] = [new FakeLink('a').link, new FakeLink('b').link]
  for (const request of [1, 2]) takers.add({ link: a, request, ...taking })
  takers.add({ link: b, request: 1, ...taking })
  takers.delete(a, 1)
  takers.delete(a, 9)
  t.is(takers.count(a), 1)
  t.deepEqual(
    [...takers.first()].map(({ link, request }) => [link.peerId, request]),
    [
      ['a', 2],
      ['b', 1]
    ]
  )
  takers.gone(a)
  t.is(takers.count(a), 0)
  t.deepEqual(requests(takers), [1])
  const [last] = takers.first()
  takers.gone(b)
  if (last !== undefined) takers.passedOver(last)
  t.deepEqual(requests(takers), [], 'who has gone does not come back by being passed over')
})

test('a search among hundreds ends, though each is passed over', t => {
  const takers = new Takers()
  for (let n = 0; n < 300; n += 1) {
    takers.add({ link: new FakeLink(`p${n}`).link, request: n, ...taking })
  }
  const seen: number[] = []
  for (const taker of takers.first()) {
    seen.push(taker.request)
    takers.passedOver(taker)
  }
  t.true(seen.length < 50)
  t.deepEqual(requests(takers)[0], seen.length, 'the next search begins behind them')
})

test('what there is goes to the first for whom there is something', t => {
  const takers = new Takers()
  const { link } = new FakeLink('a')
  for (const request of [1, 2, 3]) takers.add({ link, request, ...taking })
  const served = takers.serve(({ request }) => ({ kind: request === 2 ? 'none' : 'later' }))
  t.is(served?.taker.request, 2)
  t.deepEqual(requests(takers), [3, 1])
  t.is(
    takers.serve(() => ({ kind: 'later' })),
    undefined
  )
})
