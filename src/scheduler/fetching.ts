import type { ChunkId, Random, RequestClass } from '../base/index.ts'
import { Asking } from './asking.ts'
import { Availability } from './availability.ts'
import { isSignOfLife, type FetchAction, type FetchEvent } from './fetch-events.ts'
import { Foresight } from './foresight.ts'
import { defaultMechanisms, type Mechanisms } from './mechanisms.ts'
import { PeerTable } from './peer-table.ts'
import { Planning } from './planning.ts'
import { Rack } from './rack.ts'
import { WantList } from './want-list.ts'

// Which item this node asks of whom, and when. An item is what an image consists of on the wire: its
// chunks by position, then its manifest pages. Pure: state + event + now → actions (DESIGN, Rooms).

export type { FetchAction, FetchEvent } from './fetch-events.ts'

export const tickMs = 100
/**
 * How far ahead of a stream of reads is fetched, in bytes: two chunks where nothing is known, and no more
 * than a wrong guess may cost.
 */
const aheadBytesMin = 256 * 1024
const aheadBytesMax = 4 * 1024 * 1024
/** A seed that has given all it has is asked again after this: a first copy may have been lost. */
const spentMs = 1_000

export interface FetchingInit {
  readonly itemCount: number
  readonly random: Random
  /** Those not named are on. */
  readonly mechanisms?: Partial<Mechanisms>
  /** How long what somebody waits for may stand still before it is asked elsewhere; 1,500 ms. */
  readonly fallbackMs?: number
  /** This machine's own peer id; without it, it does without the others of its rack. */
  readonly self?: string
  /**
   * The id of an item, by which it has a home among several seeds; undefined while its page is not
   * here. By default the item's number in digits.
   */
  idOf?(item: number): ChunkId | undefined
}

/** Turns what happens to a node that fetches into what it does about it. */
export class Fetching {
  #mechanisms: Mechanisms
  #wants: WantList
  #have: Availability
  #peers = new PeerTable()
  #asking: Asking
  #planning: Planning
  #foresight = new Foresight()

  constructor(init: FetchingInit) {
    const mechanisms = { ...defaultMechanisms, ...init.mechanisms }
    const wants = new WantList(init.itemCount, init.random)
    const have = new Availability(init.itemCount)
    const { fallbackMs, self } = init
    const isNearness = mechanisms.nearness && self !== undefined
    const rack = isNearness ? new Rack(self, this.#peers, have) : undefined
    const keyOf = init.idOf === undefined ? undefined : (item: number) => init.idOf?.(item)
    const isForeseen = (item: number): boolean => this.#foresight.isForeseen(item)
    const asking = new Asking({
      peers: this.#peers,
      have,
      mechanisms,
      fallbackMs,
      isForeseen,
      keyOf,
      rack
    })
    this.#mechanisms = mechanisms
    this.#wants = wants
    this.#have = have
    this.#asking = asking
    this.#planning = new Planning({ wants, have, asking, mechanisms, foresight: this.#foresight })
  }

  /** What the line brings in twice the time that an answer takes: so much keeps a stream from waiting. */
  get aheadBytes(): number {
    const bytes = 2 * this.#asking.lineBytesPerMs * this.#peers.meanServiceMs()
    return Math.min(aheadBytesMax, Math.max(aheadBytesMin, bytes))
  }

  /** `sought`: asked for, and nobody has promised it yet. */
  standing(item: number): 'promised' | 'sought' | 'absent' {
    const state = this.#asking.stateOf(item)
    if (state === undefined) return 'absent'
    if (state === 'waiting' || state === 'sending') return 'promised'
    return this.#mechanisms.deferral ? 'sought' : 'absent'
  }

  apply(event: FetchEvent, now: number): FetchAction[] {
    const wasAsked = event.type === 'redirected' && this.#asking.has(event.item)
    const actions = this.#take(event, now)
    // Signs of life change nothing about whom to ask; they are the most frequent events by far.
    const news = event.type === 'has' ? event.items : undefined
    if (!isSignOfLife(event)) {
      if (event.type !== 'settled' && news === undefined) this.#planning.renew()
      this.#planning.plan(now, actions, news)
    }
    // Sent elsewhere, and nobody else can be asked now.
    if (event.type === 'redirected' && wasAsked && !this.#asking.has(event.item)) {
      actions.push({ type: 'abandoned', item: event.item })
    }
    if (!this.#mechanisms.keeping) return actions
    // A holder that must serve waits for nobody, so that those who wait here may go on waiting.
    return actions.filter(
      action => action.type !== 'abandoned' || !this.#asking.mustBeServed(action.item)
    )
  }

  #take(event: FetchEvent, now: number): FetchAction[] {
    switch (event.type) {
      case 'want':
        return this.#want(event.items, event.class, now)
      case 'settled':
        this.#wants.remove(event.item)
        this.#foresight.settled(event.item)
        return this.#asking.settle(event.item, now)
      case 'peer':
        this.#peers.join(event.peer, event.role, now, event.isFar !== true)
        return this.#asking.connected(event.peer, now)
      case 'gone':
      case 'unreachable':
        return this.#asking.lost(event.peer, now)
      case 'banned':
        this.#peers.ban(event.peer)
        return this.#asking.lost(event.peer, now)
      case 'heard':
        this.#peers.heard(event.peer, now)
        return []
      case 'has-all':
        this.#have.setAll(event.peer)
        return []
      case 'has-map':
        this.#have.setMap(event.peer, event.first, event.bits)
        return []
      case 'has':
        for (const item of event.items) this.#have.set(event.peer, item, true)
        return []
      case 'has-not':
        for (const item of event.items) this.#have.set(event.peer, item, false)
        return []
      case 'accepted':
      case 'progress':
      case 'refused':
      case 'redirected':
        return this.#answered(event, now)
      case 'awaited':
        return this.#awaited(event.item, event.class, now)
      case 'expected':
        for (const item of event.items) this.#expect(item, now)
        return []
      case 'foreseen':
        this.#foresee(event.items)
        return []
      case 'crowd':
        this.#planning.crowd(event.machines)
        return []
      case 'ahead':
        this.#goAhead(event.items)
        return []
      case 'read':
        this.#planning.read(event.item, now)
        return []
      case 'given':
        return this.#given(event.peer, event.item, now)
      case 'no-more':
        this.#peers.spent(event.peer, now + spentMs)
        return []
      case 'tick':
        return [...this.#asking.dropStalled(now), ...this.#asking.hedge(now)]
    }
  }

  #answered(
    event: Extract<FetchEvent, { type: 'accepted' | 'progress' | 'refused' | 'redirected' }>,
    now: number
  ): FetchAction[] {
    const { peer, item } = event
    switch (event.type) {
      case 'accepted':
        return this.#asking.moved(peer, item, event.waiting, now)
      case 'progress':
        return this.#asking.progressed(peer, item, event.bytes, now)
      case 'refused':
        return this.#asking.refused(peer, item, event.reason, now)
      case 'redirected':
        return this.#redirected(peer, item, event.to, now)
    }
  }

  /** Others are being sent here for it already: it does not wait for a free place once more. */
  #redirected(peer: string, item: number, to: readonly string[], now: number): FetchAction[] {
    const actions: FetchAction[] = []
    const wasAsked = this.#asking.has(item)
    this.#asking.redirected(peer, item, to, now)
    const isOver = wasAsked && !this.#asking.has(item)
    if (isOver && this.#wants.classOf(item) === 'prefetch') {
      this.#asking.ask(item, 'prefetch', now, actions)
    }
    return actions
  }

  #want(items: readonly number[], requestClass: RequestClass, now: number): FetchAction[] {
    const actions: FetchAction[] = []
    for (const item of items) {
      const isExpected = requestClass === 'background' && this.#foresight.names(item)
      const wanted = isExpected ? 'prefetch' : requestClass
      this.#wants.set(item, wanted)
      this.#asking.reclass(item, wanted, now, actions)
    }
    return actions
  }

  #awaited(item: number, requestClass: RequestClass, now: number): FetchAction[] {
    const actions: FetchAction[] = []
    this.#asking.awaited(item, requestClass, now, actions)
    return actions
  }

  #expect(item: number, now: number): void {
    if (!this.#mechanisms.foresight) return
    this.#foresight.expect(item, now)
    if (this.#wants.classOf(item) === 'background') this.#wants.set(item, 'prefetch')
  }

  #goAhead(items: readonly number[]): void {
    if (!this.#mechanisms.readAhead) return
    for (const item of items) {
      if (this.#wants.classOf(item) === 'background') this.#wants.set(item, 'prefetch')
    }
  }

  /** In the order of the profile, whatever was wanted or expected before. */
  #foresee(items: readonly number[]): void {
    if (!this.#mechanisms.profile) return
    this.#foresight.foresee(items)
    for (const item of items) {
      const requestClass = this.#wants.classOf(item)
      if (requestClass === 'background' || requestClass === 'prefetch') {
        this.#wants.remove(item)
        this.#wants.set(item, 'prefetch')
      }
    }
  }

  #given(peer: string, item: number | undefined, now: number): FetchAction[] {
    this.#peers.taken(peer)
    if (item === undefined) return []
    this.#planning.given(item, now)
    return this.#asking.given(peer, item, this.#wants.classOf(item), now)
  }
}
