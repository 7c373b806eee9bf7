import type { Random, RequestClass } from '../base/index.ts'
import { Availability } from './availability.ts'
import { isSignOfLife, type FetchAction, type FetchEvent } from './fetch-events.ts'
import { allMechanisms, type Mechanisms } from './mechanisms.ts'
import { PeerChoice, spareRequestsMax } from './peer-choice.ts'
import { PeerTable } from './peer-table.ts'
import { isSooner, isStalled, RequestTable, type Request } from './request-table.ts'
import { WantList } from './want-list.ts'

// Which item this node asks of whom, and when. An item is what an image consists of on the wire: its
// chunks by position, then its manifest pages. Pure: state + event + now → actions (DESIGN, Rooms).

export type { FetchAction, FetchEvent } from './fetch-events.ts'

export const tickMs = 100
/** While somebody waits, what is only expected to be read comes in smaller numbers. */
const expectedWhileReadingMax = 8
/** Background stands back while an urgent read waits and for this long after … */
const yieldMs = 300
/** … but one request in this time goes out all the same, so that a busy machine completes too. */
const floorMs = 1_000
/** Items looked at in one search for background work. */
const scanMax = 512
/** Items that a seed picks for us at a time; the next comes while the one before is being checked. */
const takesMax = 4
/** A seed that has given all it has is asked again after this: a first copy may have been lost. */
const spentMs = 1_000
const refusedMs = { 'not-held': 1_000, busy: 100, 'given-up': 300, corrupt: 60_000 } as const
const stalledMs = 2_000

export interface FetchingInit {
  readonly itemCount: number
  readonly random: Random
  /** Those not named are on. */
  readonly mechanisms?: Partial<Mechanisms>
}

export class Fetching {
  #mechanisms: Mechanisms
  #wants: WantList
  #have: Availability
  #peers = new PeerTable()
  #choice: PeerChoice
  #requests = new RequestTable()
  /** Where a peer told us to get the item; tried before anybody else. */
  #hints = new Map<number, string[]>()
  /** Items for which a redirect led nowhere: the next holder must serve. */
  #insist = new Set<number>()
  /** Items that others have read and that were not here when they said so. */
  #expected = new Set<number>()
  #urgentAt = -Infinity
  #spareAt = -Infinity
  /** Background items at the front of the order that the last searches could ask of nobody. */
  #scanSkip = 0

  constructor(init: FetchingInit) {
    this.#mechanisms = { ...allMechanisms, ...init.mechanisms }
    this.#wants = new WantList(init.itemCount, init.random)
    this.#have = new Availability(init.itemCount)
    this.#choice = new PeerChoice(this.#peers, this.#have)
  }

  /** True while the item is asked of somebody who has accepted the request. */
  isPromised(item: number): boolean {
    return this.standing(item) === 'promised'
  }

  /** `sought`: asked for, and nobody has promised it yet. */
  standing(item: number): 'promised' | 'sought' | 'absent' {
    const state = this.#requests.get(item)?.state
    if (state === undefined) return 'absent'
    if (state === 'waiting' || state === 'sending') return 'promised'
    return this.#mechanisms.deferral ? 'sought' : 'absent'
  }

  get requestCount(): number {
    return this.#requests.size
  }

  apply(event: FetchEvent, now: number): FetchAction[] {
    const wasAsked = event.type === 'redirected' && this.#requests.has(event.item)
    const actions = this.#take(event, now)
    // Signs of life change nothing about whom to ask; they are the most frequent events by far.
    const news = event.type === 'has' ? event.items : undefined
    if (!isSignOfLife(event)) this.#plan(now, actions, news)
    // Sent elsewhere, and nobody else can be asked now.
    if (event.type === 'redirected' && wasAsked && !this.#requests.has(event.item)) {
      actions.push({ type: 'abandoned', item: event.item })
    }
    return actions
  }

  #take(event: FetchEvent, now: number): FetchAction[] {
    switch (event.type) {
      case 'want':
        return this.#want(event.items, event.class)
      case 'settled':
        return this.#settle(event.item, now)
      case 'peer':
        this.#peers.join(event.peer, event.role, now)
        return this.#askConnected(event.peer, now)
      case 'gone':
      case 'unreachable':
        return this.#lose(event.peer, now)
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
        return this.#move(event, now)
      case 'refused':
        return this.#refused(event.peer, event.item, event.reason, now)
      case 'redirected':
        return this.#redirected(event.peer, event.item, event.to, now)
      case 'awaited':
        return this.#awaited(event.item, event.class)
      case 'expected':
        for (const item of event.items) this.#expect(item)
        return []
      case 'given':
        return this.#given(event.peer, event.item, now)
      case 'no-more':
        this.#peers.spent(event.peer, now + spentMs)
        return []
      case 'tick':
        return this.#dropStalled(now)
    }
  }

  #want(items: readonly number[], requestClass: RequestClass): FetchAction[] {
    const actions: FetchAction[] = []
    for (const item of items) {
      const isExpected = requestClass === 'background' && this.#expected.has(item)
      const wanted = isExpected ? 'prefetch' : requestClass
      this.#wants.set(item, wanted)
      const request = this.#requests.get(item)
      if (request !== undefined) this.#reclass(request, wanted, actions)
    }
    return actions
  }

  /** Who waits for one who waits in the background would itself wait in the background. */
  #awaited(item: number, requestClass: RequestClass): FetchAction[] {
    const request = this.#requests.get(item)
    const actions: FetchAction[] = []
    if (request === undefined || !this.#mechanisms.inheritance) return actions
    if (isSooner(requestClass, request.class)) this.#reclass(request, requestClass, actions)
    return actions
  }

  #expect(item: number): void {
    if (!this.#mechanisms.foresight) return
    this.#expected.add(item)
    if (this.#wants.classOf(item) === 'background') this.#wants.set(item, 'prefetch')
  }

  /** What the seed picked is taken, unless it is on its way from somebody else already. */
  #given(peer: string, item: number | undefined, now: number): FetchAction[] {
    this.#peers.taken(peer)
    if (item === undefined) return []
    const request = this.#requests.get(item)
    const requestClass = this.#wants.classOf(item)
    if (requestClass === undefined || request?.state === 'sending') {
      return [{ type: 'cancel', peer, item }]
    }
    const actions: FetchAction[] = []
    if (request !== undefined) this.#forget(request)
    if (request !== undefined && request.state !== 'connecting') {
      actions.push({ type: 'cancel', peer: request.peer, item })
    }
    const times = { askedAt: now, movedAt: now }
    const state = 'sending'
    const taken: Request = { item, peer, class: requestClass, state, redirected: false, ...times }
    this.#requests.add(taken)
    this.#peers.asked(peer)
    if (requestClass !== 'background') actions.push(this.#requestAction(taken))
    actions.push({ type: 'promised', item })
    return actions
  }

  #settle(item: number, now: number): FetchAction[] {
    this.#wants.remove(item)
    this.#expected.delete(item)
    this.#hints.delete(item)
    this.#insist.delete(item)
    this.#peers.forgive(item)
    const request = this.#requests.get(item)
    if (request === undefined) return []
    this.#requests.delete(item)
    this.#peers.settled(request.peer, request.askedAt, now)
    if (request.state === 'connecting') return []
    // Harmless when the request is what brought the item: then nothing is out any more.
    return [{ type: 'cancel', peer: request.peer, item }]
  }

  #askConnected(peer: string, now: number): FetchAction[] {
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      if (request.peer !== peer || request.state !== 'connecting') continue
      request.state = 'asked'
      request.movedAt = now
      this.#peers.asked(peer)
      actions.push(this.#requestAction(request))
    }
    return actions
  }

  #lose(peer: string, now: number): FetchAction[] {
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      if (request.peer === peer) this.#giveUp(request, now, refusedMs.busy, actions)
    }
    this.#peers.leave(peer)
    this.#have.remove(peer)
    return actions
  }

  #move(event: Extract<FetchEvent, { type: 'accepted' | 'progress' }>, now: number): FetchAction[] {
    const request = this.#requests.get(event.item)
    if (request === undefined || request.peer !== event.peer) return []
    const isNew = request.state === 'asked'
    request.movedAt = now
    request.state = event.type === 'accepted' && event.waiting ? 'waiting' : 'sending'
    return isNew && this.#mechanisms.deferral ? [{ type: 'promised', item: event.item }] : []
  }

  #refused(peer: string, item: number, reason: keyof typeof refusedMs, now: number): FetchAction[] {
    if (reason === 'not-held') this.#have.set(peer, item, false)
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return []
    const actions: FetchAction[] = []
    this.#giveUp(request, now, refusedMs[reason], actions)
    return actions
  }

  #redirected(peer: string, item: number, to: readonly string[], now: number): FetchAction[] {
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return []
    const targets = to.filter(other => !this.#peers.isAvoided(other, item, now))
    const actions: FetchAction[] = []
    if (targets.length > 0) {
      this.#hints.set(item, targets)
      this.#forget(request)
    } else {
      this.#insist.add(item)
      this.#forget(request)
    }
    return actions
  }

  /** The request will bring nothing: somebody else is asked, and is not to send us on again. */
  #giveUp(request: Request, now: number, avoidMs: number, actions: FetchAction[]): void {
    if (request.redirected) this.#insist.add(request.item)
    this.#peers.avoid(request.peer, request.item, now + avoidMs)
    this.#forget(request)
    actions.push({ type: 'abandoned', item: request.item })
  }

  #forget(request: Request): void {
    this.#requests.delete(request.item)
    if (request.state !== 'connecting') this.#peers.released(request.peer)
  }

  #dropStalled(now: number): FetchAction[] {
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      // Nothing is gained by giving up the only peer that can deliver.
      if (!isStalled(request, this.#peers.get(request.peer), now)) continue
      if (!this.#choice.hasOther(request.peer, request.item, now)) continue
      if (request.state !== 'connecting') {
        actions.push({ type: 'cancel', peer: request.peer, item: request.item })
        this.#peers.stalled(request.peer, now)
      }
      this.#insist.add(request.item)
      this.#giveUp(request, now, stalledMs, actions)
    }
    return actions
  }

  /** `news`: only these items can be had where they could not before. */
  #plan(now: number, actions: FetchAction[], news?: readonly number[]): void {
    for (const item of this.#wants.urgent()) {
      this.#urgentAt = now
      if (!this.#requests.has(item)) this.#ask(item, 'urgent', now, actions)
    }
    this.#planExpected(now, actions)
    this.#planBackground(now, actions, news)
  }

  /** What is expected to be read soon; while somebody waits already, less of it. */
  #planExpected(now: number, actions: FetchAction[]): void {
    const most = this.#isYielding(now) ? expectedWhileReadingMax : spareRequestsMax
    let free = most - this.#requests.count('prefetch')
    if (free <= 0) return
    for (const item of this.#wants.prefetch()) {
      if (this.#requests.has(item) || !this.#ask(item, 'prefetch', now, actions)) continue
      free -= 1
      if (free === 0) return
    }
  }

  #planBackground(now: number, actions: FetchAction[], news?: readonly number[]): void {
    const yielding = this.#isYielding(now)
    if (yielding && now - this.#spareAt < floorMs) return
    const room =
      spareRequestsMax - this.#requests.count('prefetch') - this.#requests.count('background')
    let free = Math.min(room, yielding ? 1 : room)
    if (this.#mechanisms.lateBinding) this.#takeMore(now, yielding, actions)
    if (free <= 0) return
    const beyondSeeds = this.#mechanisms.lateBinding ? this.#choice.seedsThatPick(now) : 0
    let looked = 0
    for (const item of news ?? this.#wants.background(scanMax, this.#scanSkip)) {
      looked += 1
      if (this.#requests.has(item) || this.#wants.classOf(item) !== 'background') continue
      // Only seeds have it, and they pick for themselves what they send.
      if (this.#have.holderCount(item) <= beyondSeeds && !this.#hints.has(item)) continue
      if (!this.#ask(item, 'background', now, actions)) continue
      this.#spareAt = now
      this.#scanSkip = 0
      free -= 1
      if (free === 0) return
    }
    if (news !== undefined) return
    // Nobody has these now: the next search begins behind them, and in the end at the front again.
    this.#scanSkip = looked < scanMax ? 0 : this.#scanSkip + looked
  }

  #isYielding(now: number): boolean {
    return now - this.#urgentAt < yieldMs
  }

  /** Whatever the seeds pick next is as good as any item that nobody else has. */
  #takeMore(now: number, yielding: boolean, actions: FetchAction[]): void {
    if (!this.#wants.hasBackground) return
    for (const peer of this.#choice.takes(yielding ? 1 : takesMax, now)) {
      actions.push({ type: 'more', peer })
      if (yielding) this.#spareAt = now
    }
  }

  #reclass(request: Request, requestClass: RequestClass, actions: FetchAction[]): void {
    if (request.class === requestClass) return
    request.class = requestClass
    if (request.state !== 'connecting') actions.push(this.#requestAction(request))
  }

  /** False when nobody can be asked for the item now. */
  #ask(item: number, requestClass: RequestClass, now: number, actions: FetchAction[]): boolean {
    const hint = this.#takeHint(item, now)
    const peer = hint ?? this.#choose(item, requestClass, now)
    if (peer === undefined) return false
    const connected = this.#peers.get(peer) !== undefined
    const request: Request = {
      item,
      peer,
      class: requestClass,
      state: connected ? 'asked' : 'connecting',
      redirected: hint !== undefined,
      askedAt: now,
      movedAt: now
    }
    this.#requests.add(request)
    if (connected) {
      this.#peers.asked(peer)
      actions.push(this.#requestAction(request))
    } else {
      actions.push({ type: 'connect', peer })
    }
    return true
  }

  #requestAction(request: Request): FetchAction {
    const { peer, item } = request
    return { type: 'request', peer, item, class: request.class, insist: this.#insist.has(item) }
  }

  #choose(item: number, requestClass: RequestClass, now: number): string | undefined {
    const seedsPick = this.#mechanisms.lateBinding
    const insist = this.#insist.has(item)
    return this.#choice.choose({ item, class: requestClass, insist, seedsPick }, now)
  }

  #takeHint(item: number, now: number): string | undefined {
    const hints = this.#hints.get(item) ?? []
    this.#hints.delete(item)
    return hints.find(peer => !this.#peers.isAvoided(peer, item, now))
  }
}
