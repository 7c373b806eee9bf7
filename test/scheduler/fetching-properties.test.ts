import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { requestClasses, type RequestClass } from '../../src/base/index.ts'
import type { FetchAction, FetchEvent } from '../../src/scheduler/fetching.ts'
import { Fetcher, range } from './fetcher.ts'

const itemCount = 24
const peers = ['seed', 'a', 'b', 'c', 'd']
const spareRequestsMax = 16

/** What the world does next; numbers choose among what is possible at that moment. */
type Step =
  | { type: 'want'; items: number[]; class: RequestClass }
  | { type: 'join' | 'leave' | 'has-all'; peer: string }
  | { type: 'has' | 'has-not'; peer: string; items: number[] }
  | { type: 'answer'; pick: number; how: (typeof answers)[number]; to: string[] }
  | { type: 'unreachable'; pick: number }
  | { type: 'settled'; item: number }
  | { type: 'pass'; ms: number }

const answers = ['waiting', 'accepted', 'progress', 'not-held', 'busy', 'given-up', 'to'] as const
const item = fc.nat(itemCount - 1)
const items = fc.uniqueArray(item, { minLength: 1, maxLength: 8 })
const peer = fc.constantFrom(...peers)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constant('want' as const),
    items,
    class: fc.constantFrom(...requestClasses)
  }),
  fc.record({ type: fc.constantFrom('join' as const, 'leave' as const, 'has-all' as const), peer }),
  fc.record({ type: fc.constantFrom('has' as const, 'has-not' as const), peer, items }),
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('answer' as const),
      pick: fc.nat(),
      how: fc.constantFrom(...answers),
      to: fc.uniqueArray(fc.constantFrom(...peers, 'stranger'), { minLength: 1, maxLength: 2 })
    })
  },
  fc.record({ type: fc.constant('unreachable' as const), pick: fc.nat() }),
  fc.record({ type: fc.constant('settled' as const), item }),
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(4_000) }) }
)

/** Plays the world to a `Fetcher` and checks each thing that it does. */
class World {
  readonly fetcher = new Fetcher(itemCount)
  readonly connected = new Set<string>()
  readonly wanted = new Map<number, RequestClass>()
  readonly #connecting = new Set<string>()
  readonly #classes = new Map<number, RequestClass>()
  readonly #t: ExecutionContext

  constructor(t: ExecutionContext) {
    this.#t = t
  }

  play(step: Step): void {
    switch (step.type) {
      case 'want':
        for (const wanted of step.items) this.wanted.set(wanted, step.class)
        return this.tell({ type: 'want', items: step.items, class: step.class })
      case 'join':
        if (this.connected.has(step.peer)) return
        return this.join(step.peer)
      case 'leave':
        if (!this.connected.delete(step.peer)) return
        return this.tell({ type: 'gone', peer: step.peer })
      case 'has-all':
        if (this.connected.has(step.peer)) this.tell({ type: 'has-all', peer: step.peer })
        return
      case 'has':
      case 'has-not':
        if (this.connected.has(step.peer)) this.tell(step)
        return
      case 'answer':
        return this.#answer(step)
      case 'unreachable': {
        const unreachable = [...this.#connecting].at(step.pick % (this.#connecting.size || 1))
        if (unreachable === undefined) return
        this.#connecting.delete(unreachable)
        return this.tell({ type: 'unreachable', peer: unreachable })
      }
      case 'settled':
        this.wanted.delete(step.item)
        return this.tell({ type: 'settled', item: step.item })
      case 'pass':
        return this.pass(step.ms)
    }
  }

  join(peer: string): void {
    this.connected.add(peer)
    this.#connecting.delete(peer)
    this.tell({ type: 'peer', peer, role: peer === 'seed' ? 'seed' : 'agent' })
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      this.fetcher.now += Math.min(left, 100)
      this.tell({ type: 'tick' })
    }
  }

  #answer({ pick, how, to }: Extract<Step, { type: 'answer' }>): void {
    const [asked, peer] = [...this.fetcher.out].at(pick % (this.fetcher.out.size || 1)) ?? []
    if (asked === undefined || peer === undefined) return
    const at = { peer, item: asked }
    if (how === 'waiting' || how === 'accepted') {
      this.tell({ type: 'accepted', ...at, waiting: how === 'waiting' })
    } else if (how === 'progress') {
      this.tell({ type: 'progress', ...at, bytes: 1 })
    } else if (how === 'to') {
      this.tell({ type: 'redirected', ...at, to })
    } else {
      this.tell({ type: 'refused', ...at, reason: how })
    }
  }

  tell(event: FetchEvent): void {
    const before = new Map(this.fetcher.out)
    if (event.type === 'refused' || event.type === 'redirected') before.delete(event.item)
    if (event.type === 'gone') {
      for (const [asked, peer] of before) if (peer === event.peer) before.delete(asked)
    }
    for (const action of this.fetcher.apply(event)) this.#check(action, before)
    const spare = [...this.fetcher.out.keys()].filter(
      asked => this.#classes.get(asked) !== 'urgent'
    ).length
    // While urgent reads wait, each peer may have a few on top of them.
    this.#t.true(spare <= spareRequestsMax * peers.length, `${spare} requests in the background`)
  }

  #check(action: FetchAction, out: Map<number, string>): void {
    const { fetcher, connected } = this
    if (action.type === 'request') {
      this.#t.true(connected.has(action.peer), `asked ${action.peer}, which is not connected`)
      this.#t.true(this.wanted.has(action.item), `asked for ${action.item}, which nobody wants`)
      const other = out.get(action.item)
      this.#t.true(other === undefined || other === action.peer, `${action.item} asked for twice`)
      out.set(action.item, action.peer)
      this.#classes.set(action.item, action.class)
    } else if (action.type === 'cancel') {
      this.#t.is(out.get(action.item), action.peer, 'only what is out is cancelled')
      out.delete(action.item)
    } else if (action.type === 'connect') {
      this.#t.false(connected.has(action.peer), `connect ${action.peer}, which is connected`)
      this.#connecting.add(action.peer)
    }
    this.#t.true(fetcher.out.size <= itemCount)
  }
}

test('over any events, only connected peers are asked, and for one item only one of them', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), steps => {
      const world = new World(t)
      for (const made of steps) world.play(made)
    }),
    { numRuns: 400 }
  )
})

test('after any events, whatever is wanted is asked for once somebody can deliver', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
      const world = new World(t)
      for (const made of steps) world.play(made)
      // The old peers have gone; a new one holds everything and delivers whatever it is asked for.
      for (const left of [...world.connected]) world.play({ type: 'leave', peer: left })
      world.join('good')
      world.tell({ type: 'has-all', peer: 'good' })
      for (let turn = 0; turn < 400 && world.wanted.size > 0; turn += 1) {
        for (const [delivered, from] of [...world.fetcher.out]) {
          t.is(from, 'good')
          world.play({ type: 'settled', item: delivered })
        }
        world.pass(100)
      }
      t.deepEqual([...world.wanted], [])
    }),
    { numRuns: 300 }
  )
})

test('items that nobody has do not keep the others from being asked for', t => {
  const fetcher = new Fetcher(4_000)
  fetcher.meet('a')
  fetcher.want(range(0, 4_000))
  fetcher.apply({ type: 'has', peer: 'a', items: range(0, 1_000) })
  const here = new Set<number>()
  for (let turn = 0; turn < 2_000 && here.size < 1_000; turn += 1) {
    for (const asked of [...fetcher.out.keys()]) {
      here.add(asked)
      fetcher.apply({ type: 'settled', item: asked })
    }
    fetcher.pass(100, 'a')
  }
  t.is(here.size, 1_000)
})
