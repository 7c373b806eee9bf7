import type { Random, RequestClass } from '../base/index.ts'
import { Availability } from './availability.ts'
import { PeerTable, soonest, type PeerRole, type PeerState } from './peer-table.ts'
import { WantList } from './want-list.ts'

// Which item this node asks of whom, and when. An item is what an image consists of on the wire: its
// chunks by position, then its manifest pages. Pure: state + event + now → actions (DESIGN, Rooms).

export type FetchEvent =
  /** Somebody needs the items; a lower class than before says that the need has passed. */
  | { readonly type: 'want'; readonly items: readonly number[]; readonly class: RequestClass }
  /** The item is here, or is needed no more. */
  | { readonly type: 'settled'; readonly item: number }
  | { readonly type: 'peer'; readonly peer: string; readonly role: PeerRole }
  | { readonly type: 'gone'; readonly peer: string }
  | { readonly type: 'heard'; readonly peer: string }
  | { readonly type: 'has-all'; readonly peer: string }
  | {
      readonly type: 'has-map'
      readonly peer: string
      readonly first: number
      readonly bits: Uint8Array
    }
  | { readonly type: 'has'; readonly peer: string; readonly items: readonly number[] }
  | { readonly type: 'has-not'; readonly peer: string; readonly items: readonly number[] }
  | {
      readonly type: 'accepted'
      readonly peer: string
      readonly item: number
      readonly waiting: boolean
    }
  | {
      readonly type: 'progress'
      readonly peer: string
      readonly item: number
      readonly bytes: number
    }
  | {
      readonly type: 'refused'
      readonly peer: string
      readonly item: number
      readonly reason: 'not-held' | 'busy' | 'given-up' | 'corrupt'
    }
  | {
      readonly type: 'redirected'
      readonly peer: string
      readonly item: number
      readonly to: readonly string[]
    }
  /** A peer that was to be connected to cannot be reached. */
  | { readonly type: 'unreachable'; readonly peer: string }
  /** Time has passed: at least every `tickMs` while anything is asked for. */
  | { readonly type: 'tick' }

export type FetchAction =
  /** Also changes the class of a request that is out already. */
  | {
      readonly type: 'request'
      readonly peer: string
      readonly item: number
      readonly class: RequestClass
      readonly insist: boolean
    }
  | { readonly type: 'cancel'; readonly peer: string; readonly item: number }
  | { readonly type: 'connect'; readonly peer: string }
  /** The item was asked for and is not any more: peers that wait for it here must go elsewhere. */
  | { readonly type: 'abandoned'; readonly item: number }

interface Request {
  readonly item: number
  readonly peer: string
  class: RequestClass
  /** `connecting` until the peer can be asked at all. */
  state: 'connecting' | 'asked' | 'waiting' | 'sending'
  readonly redirected: boolean
  readonly askedAt: number
  movedAt: number
}

export const tickMs = 100
/** Requests that nobody waits for, a node and a peer (research/swarm-simulation.md, Kb, Kp). */
const spareRequestsMax = 16
const spareRequestsPeerMin = 4
/** Background stands back while an urgent read waits and for this long after … */
const yieldMs = 300
/** … but one request in this time goes out all the same, so that a busy machine completes too. */
const floorMs = 100
/** An urgent miss asks the seed while fewer holders than this are known. */
const holdersEnough = 3
/** Items looked at in one search for background work. */
const scanMax = 512
/** A request that does not move, at a peer that says nothing at all, is asked elsewhere after … */
const silentMs = 500
/** … and at a peer that is busy with other things after this long. */
const stuckMs = 3_000
const connectMs = 2_000
const refusedMs = { 'not-held': 1_000, busy: 100, 'given-up': 300, corrupt: 60_000 } as const
const stalledMs = 2_000

export class Fetching {
  #wants: WantList
  #have: Availability
  #peers = new PeerTable()
  #requests = new Map<number, Request>()
  /** Where a peer told us to get the item; tried before anybody else. */
  #hints = new Map<number, string[]>()
  /** Items for which a redirect led nowhere: the next holder must serve. */
  #insist = new Set<number>()
  #urgentAt = -Infinity
  #spareAt = -Infinity
  /** Background items at the front of the order that the last searches could ask of nobody. */
  #scanSkip = 0

  constructor(init: { readonly itemCount: number; readonly random: Random }) {
    this.#wants = new WantList(init.itemCount, init.random)
    this.#have = new Availability(init.itemCount)
  }

  /** True while the item is asked of somebody who has not turned us away. */
  isPromised(item: number): boolean {
    const state = this.#requests.get(item)?.state
    return state === 'waiting' || state === 'sending'
  }

  apply(event: FetchEvent, now: number): FetchAction[] {
    const actions = this.#take(event, now)
    // Signs of life change nothing about whom to ask; they are the most frequent events by far.
    const isSign = event.type === 'heard' || event.type === 'progress' || event.type === 'accepted'
    if (!isSign) this.#plan(now, actions)
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
        this.#move(event, now)
        return []
      case 'refused':
        return this.#refused(event.peer, event.item, event.reason, now)
      case 'redirected':
        return this.#redirected(event.peer, event.item, event.to, now)
      case 'tick':
        return this.#dropStalled(now)
    }
  }

  #want(items: readonly number[], requestClass: RequestClass): FetchAction[] {
    const actions: FetchAction[] = []
    for (const item of items) {
      this.#wants.set(item, requestClass)
      const request = this.#requests.get(item)
      if (request !== undefined) this.#reclass(request, requestClass, actions)
    }
    return actions
  }

  #settle(item: number, now: number): FetchAction[] {
    this.#wants.remove(item)
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
    for (const request of this.#requests.values()) {
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
    for (const request of [...this.#requests.values()]) {
      if (request.peer === peer) this.#giveUp(request, now, refusedMs.busy, actions)
    }
    this.#peers.leave(peer)
    this.#have.remove(peer)
    return actions
  }

  #move(event: Extract<FetchEvent, { type: 'accepted' | 'progress' }>, now: number): void {
    const request = this.#requests.get(event.item)
    if (request === undefined || request.peer !== event.peer) return
    request.movedAt = now
    request.state = event.type === 'accepted' && event.waiting ? 'waiting' : 'sending'
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
    for (const request of [...this.#requests.values()]) {
      if (!this.#isStalled(request, now) || !this.#hasAlternative(request, now)) continue
      if (request.state !== 'connecting') {
        actions.push({ type: 'cancel', peer: request.peer, item: request.item })
        this.#peers.stalled(request.peer, now)
      }
      this.#insist.add(request.item)
      this.#giveUp(request, now, stalledMs, actions)
    }
    return actions
  }

  #isStalled(request: Request, now: number): boolean {
    const still = now - request.movedAt
    if (request.state === 'connecting') return still > connectMs
    const quiet = now - (this.#peers.get(request.peer)?.heardAt ?? -Infinity)
    return still > stuckMs || (still > silentMs && quiet > silentMs)
  }

  /** Nothing is gained by giving up the only peer that can deliver. */
  #hasAlternative(request: Request, now: number): boolean {
    return this.#peers
      .all()
      .some(
        peer =>
          peer.id !== request.peer &&
          this.#have.has(peer.id, request.item) &&
          !this.#peers.isAvoided(peer.id, request.item, now)
      )
  }

  #plan(now: number, actions: FetchAction[]): void {
    for (const item of this.#wants.urgent()) {
      this.#urgentAt = now
      if (!this.#requests.has(item)) this.#ask(item, 'urgent', now, actions)
    }
    for (const item of this.#wants.prefetch()) {
      if (this.#spareCount() >= spareRequestsMax) return
      if (!this.#requests.has(item)) this.#ask(item, 'prefetch', now, actions)
    }
    this.#planBackground(now, actions)
  }

  #planBackground(now: number, actions: FetchAction[]): void {
    const yielding = now - this.#urgentAt < yieldMs
    if (yielding && now - this.#spareAt < floorMs) return
    const room = spareRequestsMax - this.#spareCount()
    let free = Math.min(room, yielding ? 1 : room)
    if (free <= 0) return
    let looked = 0
    for (const item of this.#wants.background(scanMax, this.#scanSkip)) {
      looked += 1
      if (this.#requests.has(item) || !this.#ask(item, 'background', now, actions)) continue
      this.#spareAt = now
      this.#scanSkip = 0
      free -= 1
      if (free === 0) return
    }
    // Nobody has these now: the next search begins behind them, and in the end at the front again.
    this.#scanSkip = looked < scanMax ? 0 : this.#scanSkip + looked
  }

  #spareCount(): number {
    let count = 0
    for (const request of this.#requests.values()) if (request.class !== 'urgent') count += 1
    return count
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
    this.#requests.set(item, request)
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

  #takeHint(item: number, now: number): string | undefined {
    const hints = this.#hints.get(item) ?? []
    this.#hints.delete(item)
    return hints.find(peer => !this.#peers.isAvoided(peer, item, now))
  }

  #choose(item: number, requestClass: RequestClass, now: number): string | undefined {
    const able = this.#peers
      .all()
      .filter(peer => this.#have.has(peer.id, item) && !this.#peers.isAvoided(peer.id, item, now))
    const agents = able.filter(peer => peer.role === 'agent')
    const seeds = able.filter(peer => peer.role === 'seed')
    if (requestClass === 'urgent') {
      const few = agents.length < holdersEnough && seeds.length > 0
      return soonest(few && !this.#insist.has(item) ? seeds : able, now)?.id
    }
    const perPeer = Math.max(spareRequestsPeerMin, Math.ceil(spareRequestsMax / able.length))
    const free = (peer: PeerState): boolean => peer.requests < perPeer
    // The seed is for what nobody else has: what a neighbour holds waits for the neighbour's turn.
    return soonest((agents.length > 0 ? agents : seeds).filter(free), now)?.id
  }
}
