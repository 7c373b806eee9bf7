import test from 'ava'
import fc from 'fast-check'
import type { Holding, RequestClass, ServeDecision } from '../../src/base/index.ts'
import { Serving } from '../../src/scheduler/serving.ts'

const id = 'ab'.repeat(32)
const leaseMs = 5_000

/** One node that peers ask for one chunk. */
function serving(role: 'seed' | 'agent', holding: Holding = 'held') {
  const node = new Serving(role)
  let now = 0
  const ask = (
    peer: string,
    options: { class?: RequestClass; insist?: boolean; holding?: Holding } = {}
  ): ServeDecision => {
    const { class: requestClass = 'background', insist = false } = options
    const want = { peer, id, class: requestClass, insist }
    return node.decide(want, options.holding ?? holding, now)
  }
  return {
    node,
    ask,
    sent: (peer: string) => node.sent(peer, id, now),
    pass: (ms: number) => {
      now += ms
    }
  }
}

const targetOf = (decision: ServeDecision): string | undefined =>
  decision.kind === 'redirect' ? decision.to[0] : undefined
const peers = (count: number): string[] => Array.from({ length: count }, (_, n) => `p${n}`)

test('what is not here is refused', t => {
  const notHeld = { kind: 'refuse', reason: 'not-held' } as const
  t.deepEqual(serving('agent', 'absent').ask('a'), notHeld)
  t.deepEqual(serving('seed', 'absent').ask('a', { insist: true, class: 'urgent' }), notHeld)
})

test('a seed sends a chunk once and sends all others on, however many ask', t => {
  const classes = fc.array(fc.constantFrom<RequestClass>('urgent', 'prefetch', 'background'), {
    minLength: 2,
    maxLength: 150,
    size: 'max'
  })
  fc.assert(
    fc.property(classes, wanted => {
      const { ask } = serving('seed')
      const kinds = wanted.map((requestClass, n) => ask(`p${n}`, { class: requestClass }).kind)
      t.is(kinds[0], 'send')
      return kinds.slice(1).every(kind => kind === 'redirect')
    }),
    { numRuns: 50 }
  )
})

test('an agent serves one itself, of the background eight, then sends on', t => {
  for (const [requestClass, fanOut] of [
    ['urgent', 1],
    ['prefetch', 1],
    ['background', 8]
  ] as const) {
    for (const [holding, served] of [
      ['held', 'send'],
      ['promised', 'wait']
    ] as const) {
      const { ask } = serving('agent', holding)
      const kinds = peers(fanOut + 1).map(peer => ask(peer, { class: requestClass }).kind)
      t.deepEqual(kinds, [...Array<string>(fanOut).fill(served), 'redirect'])
    }
  }
})

test('no peer is sent more askers than it shall serve', t => {
  for (const [requestClass, fanOut] of [
    ['urgent', 1],
    ['background', 8]
  ] as const) {
    const { ask } = serving('seed')
    const sentTo = new Map<string, number>()
    for (const peer of peers(30)) {
      const target = targetOf(ask(peer, { class: requestClass }))
      if (target !== undefined) sentTo.set(target, (sentTo.get(target) ?? 0) + 1)
    }
    t.is(Math.max(...sentTo.values()), fanOut)
  }
})

test('who insists is served by who can', t => {
  const holder = serving('seed')
  t.is(holder.ask('a').kind, 'send')
  t.is(holder.ask('b', { insist: true }).kind, 'send')
  const full = serving('agent', 'promised')
  t.is(full.ask('a', { class: 'urgent' }).kind, 'wait')
  t.deepEqual(full.ask('c', { class: 'urgent', insist: true }), { kind: 'refuse', reason: 'busy' })
  const agent = serving('agent')
  for (const peer of peers(20)) t.is(agent.ask(peer, { insist: true }).kind, 'send')
})

test('a hope that has not come true in time counts no more', t => {
  const { ask, sent, pass } = serving('seed')
  ask('a')
  sent('a')
  pass(leaseMs)
  t.is(targetOf(ask('b')), 'a')
  pass(1)
  t.is(ask('c').kind, 'redirect', 'b is still hoped for')
  pass(leaseMs + 1)
  t.is(ask('d').kind, 'send')
})

test('what stands in line here is late by our doing: nobody else is sent it for that', t => {
  const { node, ask, pass } = serving('seed')
  ask('a')
  pass(leaseMs + 1)
  t.is(targetOf(ask('b')), 'a')
  pass(leaseMs - 1)
  t.is(ask('b', { insist: true }).kind, 'send', 'who does not get it from there is served')
  node.dropped('b', id)
  pass(2 * leaseMs)
  t.is(ask('c').kind, 'send', 'not for ever')
})

test('the last byte begins the lease anew, and a holder needs none', t => {
  const { node, ask, sent, pass } = serving('seed')
  ask('a')
  pass(leaseMs)
  sent('a')
  pass(leaseMs)
  t.is(targetOf(ask('b')), 'a')
  node.holds('a', id)
  pass(100 * leaseMs)
  t.is(targetOf(ask('c')), 'a')
})

test('who gave up, or has gone, is nobody to be sent to', t => {
  for (const end of ['dropped', 'gone'] as const) {
    const { node, ask } = serving('seed')
    ask('a')
    if (end === 'gone') node.gone('a')
    else node.dropped('a', id)
    t.is(ask('b').kind, 'send')
    t.is(targetOf(ask('c')), 'b')
  }
})

test('holders are named before those who hope', t => {
  const { node, ask } = serving('seed')
  ask('a')
  ask('b')
  node.holds('b', id)
  t.is(targetOf(ask('c')), 'b')
})

test('a place is free again when the one who had it holds the chunk or gave up', t => {
  const { node, ask } = serving('seed')
  ask('a')
  node.holds('a', id)
  const urgent = { class: 'urgent' } as const
  t.is(targetOf(ask('b', urgent)), 'a')
  t.is(targetOf(ask('c', urgent)), 'b')
  node.dropped('b', id)
  t.is(targetOf(ask('d', urgent)), 'a')
})

test('who asks again is not sent to itself or to one that waits for it', t => {
  const { ask } = serving('seed')
  ask('a')
  t.is(targetOf(ask('b')), 'a')
  t.is(targetOf(ask('c', { class: 'urgent' })), 'b')
  // Everybody waits for a in the end.
  t.is(ask('a').kind, 'send')
})

// Who asks again keeps the askers that were sent to it: forgetting them counted them down below none.
test('a peer that asked again is sent no more askers than before', t => {
  const { node, ask } = serving('seed')
  const urgent = { class: 'urgent' } as const
  for (const asker of ['a', 'b', 'c', 'a']) ask(asker, urgent)
  for (const holder of ['a', 'b', 'c']) node.holds(holder, id)
  const targets = ['d', 'e', 'f', 'g', 'h'].map(asker => targetOf(ask(asker, urgent)))
  for (const holder of ['a', 'b', 'c']) {
    t.true(targets.filter(target => target === holder).length <= 1, targets.join(' '))
  }
})

test('of a chunk that nobody has asked for, nothing is remembered wrongly', t => {
  const { node, ask, sent } = serving('seed')
  node.holds('x', id)
  node.dropped('x', id)
  node.gone('x')
  sent('x')
  t.is(ask('a').kind, 'send')
})

type Step =
  | { type: 'ask'; peer: string; class: RequestClass; insist: boolean; holding: Holding }
  | { type: 'sent' | 'dropped' | 'holds' | 'gone'; peer: string }
  | { type: 'pass'; ms: number }

const peer = fc.constantFrom(...peers(6))
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('ask' as const),
      peer,
      class: fc.constantFrom<RequestClass>('urgent', 'background'),
      insist: fc.boolean(),
      holding: fc.constantFrom<Holding>('held', 'held', 'promised', 'absent')
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom('sent' as const, 'dropped' as const, 'holds' as const, 'gone' as const),
      peer
    })
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(leaseMs) }) }
)

test('whatever happens, nobody is sent to itself or to one that waits for it', t => {
  fc.assert(
    fc.property(
      fc.constantFrom('seed' as const, 'agent' as const),
      fc.array(step, { maxLength: 60, size: 'max' }),
      (role, steps) => {
        const { node, ask, sent, pass } = serving(role)
        let now = 0
        /** Who waits for whom, and since when; a wait is remembered as long as its lease. */
        const waits = new Map<string, { on: string; since: number }>()
        const waitsFor = (from: string, whom: string): boolean => {
          let at = waits.get(from)
          for (let hop = 0; at !== undefined && hop < 10; hop += 1) {
            if (now - at.since > leaseMs) return false
            if (at.on === whom) return true
            at = waits.get(at.on)
          }
          return false
        }
        for (const made of steps) {
          if (made.type === 'pass') {
            now += made.ms
            pass(made.ms)
          } else if (made.type === 'ask') {
            if (made.holding !== 'absent') waits.delete(made.peer)
            const target = targetOf(ask(made.peer, made))
            if (target === undefined) continue
            t.not(target, made.peer)
            t.false(waitsFor(target, made.peer), `${made.peer} was sent to ${target}`)
            waits.set(made.peer, { on: target, since: now })
          } else {
            if (made.type === 'sent') sent(made.peer)
            else if (made.type === 'gone') node.gone(made.peer)
            else node[made.type](made.peer, id)
            if (made.type !== 'sent') waits.delete(made.peer)
          }
        }
      }
    ),
    { numRuns: 1_000 }
  )
})

test('hundreds that want one chunk at once do not wait in one line', t => {
  const serving = new Serving('seed')
  const parents = new Map<string, string>()
  for (let n = 0; n < 500; n += 1) {
    const peer = `p${n}`
    const decision = serving.decide({ peer, id: 'c', class: 'urgent', insist: false }, 'held', 0)
    if (decision.kind === 'redirect') parents.set(peer, decision.to[0] ?? '')
  }
  const depth = (peer: string): number => {
    const parent = parents.get(peer)
    return parent === undefined ? 0 : 1 + depth(parent)
  }
  t.is(parents.size, 499, 'the seed sends it once')
  const deepest = Math.max(...Array.from({ length: 500 }, (_, n) => depth(`p${n}`)))
  t.true(deepest < 60, String(deepest))
})
