import test from 'ava'
import fc from 'fast-check'
import { FirstCopies } from '../../src/scheduler/first-copies.ts'

const confirmMs = 2_000
const slowMs = 5_000
const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `c${n}`)
const idOf = (gift: ReturnType<FirstCopies['next']>): string | undefined =>
  gift.kind === 'chunk' ? gift.id : undefined

test('each chunk is given once, in order, to whoever takes one more', t => {
  const copies = new FirstCopies(ids(4))
  t.deepEqual(
    ['a', 'b', 'a', 'c'].map(peer => idOf(copies.next(peer, 0))),
    ids(4)
  )
  t.deepEqual(copies.next('a', 0), { kind: 'none' })
})

test('a copy that nobody has confirmed in time is given to somebody else', t => {
  const copies = new FirstCopies(ids(2))
  copies.next('a', 0)
  t.is(idOf(copies.next('b', confirmMs)), 'c1')
  t.is(copies.next('b', confirmMs).kind, 'none')
  t.is(idOf(copies.next('b', confirmMs + 1)), 'c0')
})

test('a copy that is confirmed is not given again', t => {
  const copies = new FirstCopies(ids(1))
  copies.next('a', 0)
  copies.confirmed('c0')
  t.is(copies.next('b', 10 * confirmMs).kind, 'none')
})

test('a machine that let a copy lapse gets no first copies for a while', t => {
  const copies = new FirstCopies(ids(3))
  copies.next('slow', 0)
  t.is(idOf(copies.next('b', confirmMs + 1)), 'c0')
  t.is(copies.next('slow', confirmMs + 1).kind, 'later')
  t.is(copies.next('slow', confirmMs + slowMs).kind, 'later')
  t.is(copies.next('slow', confirmMs + 1 + slowMs).kind, 'chunk')
})

test('nobody is given again what it let lapse itself', t => {
  const copies = new FirstCopies(ids(1))
  copies.next('a', 0)
  t.is(copies.next('a', 10 * confirmMs).kind, 'none')
})

test('a chunk that was sent by name, or that somebody holds, is not given', t => {
  const copies = new FirstCopies(ids(3))
  copies.given('c0', 'a', 0)
  copies.confirmed('c1')
  t.is(idOf(copies.next('b', 0)), 'c2')
  copies.confirmed('c2')
  copies.given('c2', 'b', 0)
  copies.confirmed('c0')
  t.is(copies.next('c', 10 * confirmMs).kind, 'none', 'what was confirmed stays so')
})

test('over any course, no chunk that is confirmed is given, and all that are not are in the end', t => {
  const peer = fc.constantFrom('a', 'b', 'c')
  const step = fc.oneof(
    fc.record({ type: fc.constant('next' as const), peer }),
    fc.record({ type: fc.constant('confirmed' as const), n: fc.nat(7) }),
    fc.record({ type: fc.constant('pass' as const), n: fc.nat(1_000) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const copies = new FirstCopies(ids(8))
      const confirmed = new Set<string>()
      let now = 0
      for (const made of steps) {
        if (made.type === 'pass') now += made.n
        else if (made.type === 'confirmed') {
          confirmed.add(`c${made.n}`)
          copies.confirmed(`c${made.n}`)
        } else {
          const id = idOf(copies.next(made.peer, now))
          t.true(id === undefined || !confirmed.has(id))
        }
      }
      for (let turn = 0; turn < 8; turn += 1) {
        const id = idOf(copies.next('new', now + 2 * confirmMs))
        if (id === undefined) break
        confirmed.add(id)
        copies.confirmed(id)
      }
      t.is(confirmed.size, 8)
    })
  )
})

test('the time to confirm begins anew when the last byte has gone out', t => {
  const copies = new FirstCopies(['c0'])
  copies.next('a', 0)
  copies.sent('c0', 'a', 1_500)
  copies.sent('c0', 'other', 9_000)
  t.is(copies.next('b', 1_500 + confirmMs).kind, 'none')
  t.is(idOf(copies.next('b', 1_501 + confirmMs)), 'c0')
})

test('who turns a chunk down is not slow', t => {
  const copies = new FirstCopies(['c0', 'c1'])
  copies.next('a', 0)
  copies.dropped('c0', 'a')
  t.is(idOf(copies.next('b', confirmMs + 1)), 'c0')
  t.is(idOf(copies.next('a', confirmMs + 1)), 'c1')
})

test('what is preferred is given first, in its order, whenever that is said', t => {
  const copies = new FirstCopies(ids(5))
  t.is(idOf(copies.next('a', 0)), 'c0')
  const preferred = ['c4', 'c2', 'strange', 'c0']
  copies.prefer(preferred)
  t.deepEqual(
    ['a', 'b'].map(peer => idOf(copies.next(peer, 0))),
    ['c4', 'c2']
  )
  copies.prefer(preferred)
  t.deepEqual(
    ['a', 'b'].map(peer => idOf(copies.next(peer, 0))),
    ['c1', 'c3']
  )
  t.is(copies.next('a', 0).kind, 'none')
})

test('a chunk that nobody holds any more is given once more', t => {
  const copies = new FirstCopies(ids(2))
  for (const id of ids(2)) copies.confirmed(id)
  t.is(copies.next('a', 0).kind, 'none')
  copies.lost('c1')
  t.is(idOf(copies.next('a', 0)), 'c1')
  t.is(copies.next('a', 0).kind, 'none')
})
