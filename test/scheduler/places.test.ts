import test from 'ava'
import type { RequestClass, ServeDecision } from '../../src/base/index.ts'
import { Serving } from '../../src/scheduler/serving.ts'

// Who is sent to whom when machines are in racks.

const chunk = 'c0'

function nodeIn(
  role: 'seed' | 'agent',
  place: string,
  peers: readonly string[],
  mechanisms = {}
): Serving {
  const serving = new Serving(role, mechanisms, place)
  // `x1` is in rack x.
  for (const peer of peers) serving.located(peer, peer.slice(0, 1))
  return serving
}

function ask(
  serving: Serving,
  peer: string,
  requestClass: RequestClass = 'urgent',
  now = 0
): ServeDecision {
  return serving.decide({ peer, id: chunk, class: requestClass, insist: false }, 'held', now)
}

const targetOf = (decision: ServeDecision): string =>
  decision.kind === 'redirect' ? (decision.to[0] ?? '') : decision.kind

test('the first of a rack crosses to the others, who come later go to it', t => {
  const seed = nodeIn('seed', '', ['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
  const order = ['a1', 'a2', 'b1', 'a3', 'b2', 'b3']
  t.deepEqual(
    order.map(peer => targetOf(ask(seed, peer))),
    ['send', 'a1', 'a1', 'a2', 'b1', 'b2']
  )
})

test('without nearness all are in one chain', t => {
  const seed = nodeIn('seed', '', ['a1', 'b1', 'a2', 'b2'], { nearness: false })
  t.deepEqual(
    ['a1', 'b1', 'a2', 'b2'].map(peer => targetOf(ask(seed, peer))),
    ['send', 'a1', 'b1', 'a2']
  )
})

test('a machine sends the second of another rack to the first, even if it has room itself', t => {
  const agent = nodeIn('agent', 'a', ['a2', 'a3', 'b1', 'b2'])
  t.deepEqual(
    ['b1', 'b2', 'a2', 'a3'].map(peer => targetOf(ask(agent, peer, 'background'))),
    ['send', 'b1', 'send', 'send']
  )
})

test('a seed in a rack gives first copies to its own rack, while that takes any', t => {
  const seed = nodeIn('seed', 'a', ['a1', 'b1'])
  seed.offer('image', ['c0', 'c1', 'c2'])
  t.is(seed.next('a1', 'image', 0).kind, 'chunk')
  t.is(seed.next('b1', 'image', 100).kind, 'later')
  t.is(seed.next('b1', 'image', 600).kind, 'chunk')
})

test('a seed without a place gives to all', t => {
  const seed = nodeIn('seed', '', ['a1', 'b1'])
  seed.offer('image', ['c0', 'c1', 'c2'])
  t.is(seed.next('a1', 'image', 0).kind, 'chunk')
  t.is(seed.next('b1', 'image', 0).kind, 'chunk')
})

test('of those that hold a chunk, one a rack is remembered at least', t => {
  const others = Array.from({ length: 40 }, (_, n) => `a${n}`)
  const seed = nodeIn('seed', '', [...others, 'b1', 'b2'])
  for (const peer of [...others, 'b1']) seed.holds(peer, chunk)
  t.is(targetOf(ask(seed, 'b2')), 'b1')
})
