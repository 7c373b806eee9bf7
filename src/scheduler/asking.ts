import { isSooner, type RequestClass } from '../base/index.ts'
import type { Availability } from './availability.ts'
import { Downlink } from './downlink.ts'
import type { FetchAction } from './fetch-events.ts'
import { Hedging } from './hedging.ts'
import type { Mechanisms } from './mechanisms.ts'
import { PeerChoice } from './peer-choice.ts'
import type { PeerTable } from './peer-table.ts'
import { Paces } from './paces.ts'
import type { Rack } from './rack.ts'
import { RequestTable, stallOf, stuckMs, type Request } from './request-table.ts'

const refusedMs = { 'not-held': 1_000, busy: 100, 'given-up': 300, corrupt: 60_000 } as const
export type Refusal = keyof typeof refusedMs
const stalledMs = 2_000
/** A request is stuck when it stands still for longer than all that is on its way takes, so many times. */
const drainTimes = 2
/** A seed sends again only within bounds: one that has no room is left alone for a while. */
const noRoomMs = 1_000
/** What a seed has lost an admin gives back to it, and nobody says so: it is asked again after so long. */
const seedLacksMs = 30_000
/** A request is late when it takes so many times what requests at the peer took lately. */
const lateTimes = 4

export interface AskingInit {
  readonly peers: PeerTable
  readonly have: Availability
  readonly mechanisms: Mechanisms
  /** How long what somebody waits for may stand still before it is asked elsewhere. */
  readonly fallbackMs?: number | undefined
  /** Whether a boot profile names the item: then all machines ask for it at once. */
  readonly isForeseen: (item: number) => boolean
  /** What seeds call the item; undefined while that is not known. */
  readonly keyOf?: ((item: number) => string | undefined) | undefined
  /** Without it, all peers are as near as any. */
  readonly rack?: Rack | undefined
}

/** What is asked of whom, from the first question to the item's arrival or the next peer. */
export class Asking {
  readonly choice: PeerChoice
  #rack: Rack | undefined
  #hedging: Hedging
  #paces = new Paces()
  #mechanisms: Mechanisms
  #peers: PeerTable
  #have: Availability
  #fallbackMs: number
  #isForeseen: (item: number) => boolean
  /** A seed has had no room for what was late: until then it is the last to fall back to. */
  #seedsBusyUntil = -Infinity
  #requests = new RequestTable()
  /** Where a peer told us to get the item; tried before anybody else. */
  #hints = new Map<number, string[]>()
  /** Items for which a redirect led nowhere: the next holder must serve. */
  #insist = new Set<number>()
  #downlink = new Downlink()
  /** How often a request for the item was given up because it stood still. */
  #fallbacks = new Map<number, number>()

  constructor(init: AskingInit) {
    const { peers, have, mechanisms, keyOf, isForeseen, rack, fallbackMs = stuckMs } = init
    this.choice = new PeerChoice(peers, have, keyOf, rack)
    this.#hedging = new Hedging(peers, this.choice)
    this.#rack = rack
    this.#mechanisms = mechanisms
    this.#peers = peers
    this.#have = have
    this.#fallbackMs = fallbackMs
    this.#isForeseen = isForeseen
  }

  has(item: number): boolean {
    return this.#requests.has(item)
  }

  /** A peer has said where the item is to be had. */
  isHinted(item: number): boolean {
    return this.#hints.has(item)
  }

  stateOf(item: number): Request['state'] | undefined {
    return this.#requests.get(item)?.state
  }

  /** Asked of a peer that has it and may not send us elsewhere. */
  mustBeServed(item: number): boolean {
    return this.#insist.has(item) && this.#requests.get(item)?.state === 'asked'
  }

  /** Whether one more frame that nobody waits for may come, while seeds are to pick `underWay` others. */
  hasRoom(underWay: number): boolean {
    const { count, received } = this.#requests.inFlight()
    return this.#downlink.hasRoom({ count: count + underWay, received })
  }

  /** How long what is on its way to us takes over our line, in ms. */
  #drainMs(): number {
    return this.#downlink.drainMs(this.#requests.inFlight())
  }

  /** What our line was seen to bring; 0 while it has brought nothing. */
  get lineBytesPerMs(): number {
    return this.#downlink.bytesPerMs
  }

  /** How long our line takes for one frame. */
  get frameMs(): number {
    return this.#downlink.frameMs
  }

  count(requestClass: RequestClass): number {
    return this.#requests.count(requestClass)
  }

  /** False when nobody can be asked for the item now. */
  ask(item: number, requestClass: RequestClass, now: number, actions: FetchAction[]): boolean {
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
      movedAt: now,
      received: 0,
      classedAt: now
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

  reclass(item: number, requestClass: RequestClass, now: number, actions: FetchAction[]): void {
    const request = this.#requests.get(item)
    if (request === undefined || request.class === requestClass) return
    this.#requests.reclass(request, requestClass, now)
    if (requestClass !== 'urgent') actions.push(...this.#hedging.needless(item))
    if (request.state !== 'connecting') actions.push(this.#requestAction(request))
  }

  /** Who waits for one who waits in the background would itself wait in the background. */
  awaited(item: number, requestClass: RequestClass, now: number, actions: FetchAction[]): void {
    const request = this.#requests.get(item)
    if (request === undefined || !this.#mechanisms.inheritance) return
    if (isSooner(requestClass, request.class)) this.reclass(item, requestClass, now, actions)
  }

  /** What the seed picked is taken, unless it is on its way from somebody else already. */
  given(
    peer: string,
    item: number,
    requestClass: RequestClass | undefined,
    now: number
  ): FetchAction[] {
    const request = this.#requests.get(item)
    if (requestClass === undefined || request?.state === 'sending') {
      return [{ type: 'cancel', peer, item }]
    }
    const actions = this.#hedging.needless(item)
    if (request !== undefined) this.#forget(request, now)
    if (request !== undefined && request.state !== 'connecting') {
      actions.push({ type: 'cancel', peer: request.peer, item })
    }
    const times = { askedAt: now, movedAt: now, classedAt: now, received: 0 }
    const state = 'sending'
    const taken: Request = { item, peer, class: requestClass, state, redirected: false, ...times }
    this.#requests.add(taken)
    this.#peers.asked(peer)
    if (requestClass !== 'background') actions.push(this.#requestAction(taken))
    actions.push({ type: 'promised', item })
    return actions
  }

  settle(item: number, now: number): FetchAction[] {
    this.#hints.delete(item)
    this.#insist.delete(item)
    this.#fallbacks.delete(item)
    this.#peers.forgive(item)
    const request = this.#requests.get(item)
    const actions = this.#hedging.settled(request, item, now)
    if (request === undefined) return actions
    if (request.received > 0) this.#downlink.came(request.received)
    this.#requests.delete(item)
    const { began, received, movedAt, peer } = request
    // In the background a peer sends to many at once.
    if (began !== undefined && request.class !== 'background') {
      this.#paces.came(peer, received - began.bytes, movedAt - began.at)
    }
    this.#rack?.over(item, now)
    if (request.class === 'background') this.#rack?.moved(now)
    this.#peers.settled(request.peer, request.askedAt, now)
    if (request.state === 'connecting') return actions
    // Harmless when the request is what brought the item: then nothing is out any more.
    return [...actions, { type: 'cancel', peer: request.peer, item }]
  }

  /** The peer is here: what waited for the connection is asked. */
  connected(peer: string, now: number): FetchAction[] {
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

  /** The peer is not here, or not any more. */
  lost(peer: string, now: number): FetchAction[] {
    this.#hedging.lost(peer)
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      if (request.peer === peer) this.#giveUp(request, now, refusedMs.busy, actions)
    }
    this.#paces.forget(peer)
    this.#peers.leave(peer)
    this.#have.remove(peer)
    return actions
  }

  progressed(peer: string, item: number, bytes: number, now: number): FetchAction[] {
    const request = this.#requests.get(item)
    if (request !== undefined && request.peer === peer) {
      request.received += bytes
      request.began ??= { at: now, bytes }
    }
    this.#hedging.progressed(peer, item, bytes)
    this.#downlink.moved(bytes, now)
    return this.moved(peer, item, false, now)
  }

  /** The peer has answered, or some bytes have come. */
  moved(peer: string, item: number, waiting: boolean, now: number): FetchAction[] {
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return []
    const isNew = request.state === 'asked'
    request.movedAt = now
    request.state = waiting ? 'waiting' : 'sending'
    return isNew && this.#mechanisms.deferral ? [{ type: 'promised', item }] : []
  }

  refused(peer: string, item: number, reason: Refusal, now: number): FetchAction[] {
    const isOfSeed = this.#peers.get(peer)?.role === 'seed'
    if (reason === 'not-held' && !isOfSeed) this.#have.set(peer, item, false)
    this.#hedging.refused(peer, item)
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return []
    const hasNoRoom = reason === 'busy' && this.#insist.has(item)
    if (hasNoRoom && isOfSeed) this.#seedsBusyUntil = now + noRoomMs
    const actions: FetchAction[] = []
    // What nobody waits for can wait until the storm is over.
    const usualMs = hasNoRoom && request.class !== 'urgent' ? noRoomMs : refusedMs[reason]
    this.#giveUp(request, now, isOfSeed && reason === 'not-held' ? seedLacksMs : usualMs, actions)
    return actions
  }

  redirected(peer: string, item: number, to: readonly string[], now: number): void {
    this.#hedging.refused(peer, item)
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return
    const targets = to.filter(
      other =>
        !this.#peers.isAvoided(other, item, now) &&
        !this.#peers.isHopeless(other, now) &&
        !this.#isSlow(other)
    )
    if (targets.length > 0) this.#hints.set(item, targets)
    else this.#insist.add(item)
    this.#forget(request, now)
  }

  /** Whoever is sent there would wait much longer than elsewhere. */
  #isSlow(peer: string): boolean {
    return this.#mechanisms.hedging && this.#paces.isSlow(peer, this.#downlink.bytesPerMs)
  }

  /** It was asked of one that turned out to be slow since, and has not begun to come. */
  #isSoughtInVain({ peer, received, class: requestClass }: Request): boolean {
    return received === 0 && requestClass !== 'background' && this.#isSlow(peer)
  }

  /** What somebody waits for and is later than usual is asked of a second peer. */
  hedge(now: number): FetchAction[] {
    if (!this.#mechanisms.hedging) return []
    const { frameBytes, frameMs, bytesPerMs } = this.#downlink
    const busyMs = this.#drainMs() + (bytesPerMs === 0 ? 0 : frameMs)
    // In a chain only what a profile names: all ask for that at once, so that the chain is as long as it gets.
    const requests = this.#requests
      .all()
      .filter(({ state, item }) => state !== 'waiting' || this.#isForeseen(item))
    return this.#hedging.look(requests, { frameBytes, frameMs, busyMs }, now)
  }

  dropStalled(now: number): FetchAction[] {
    const actions: FetchAction[] = []
    // On a slow line one request stands still while the others move.
    const drainMs = drainTimes * this.#drainMs()
    for (const request of this.#requests.all()) {
      const { item, peer } = request
      const state = this.#peers.get(peer)
      // Who has let us down before is not given the benefit of our slow line.
      const patience = {
        lateMs: this.#patienceMs(request),
        drainMs: (this.#rack?.patienceMs(item) ?? 0) + (state?.stall.times === 0 ? drainMs : 0),
        frameMs: this.#isForeseen(item) ? this.#downlink.frameMs : 0,
        isElsewhere: this.#have.holderCount(item) > this.choice.seedsWithAll()
      }
      const stall = this.#isSoughtInVain(request) ? 'late' : stallOf(request, state, now, patience)
      if (stall === undefined) continue
      // Nothing is gained by giving up the only peer that can deliver.
      const other = this.choice.otherThan(peer, item, now)
      if (other === undefined) continue
      if (stall === 'late' && other === 'seed' && now < this.#seedsBusyUntil) continue
      const fallbacks = this.#fallbacks.get(item) ?? 0
      this.#fallbacks.set(item, fallbacks + 1)
      // Who is only late may be sent on: a holder on whom all insist would have to serve them all.
      if (stall === 'stuck' || fallbacks > 0) this.#insist.add(item)
      if (request.state !== 'connecting') {
        actions.push({ type: 'cancel', peer, item })
        this.#peers.stalled(peer, request.askedAt, now)
      }
      this.#giveUp(request, now, stalledMs, actions)
    }
    return actions
  }

  /** Each fall-back of a request has twice the time of the one before it. */
  #patienceMs({ item, peer }: Request): number {
    const fallbacks = this.#fallbacks.get(item) ?? 0
    const usualMs = this.#peers.get(peer)?.serviceMs ?? 0
    return Math.max(usualMs * lateTimes, this.#fallbackMs * 2 ** fallbacks)
  }

  /** The request will bring nothing: somebody else is asked, and is not to send us on again. */
  #giveUp(request: Request, now: number, avoidMs: number, actions: FetchAction[]): void {
    if (request.redirected) this.#insist.add(request.item)
    this.#peers.avoid(request.peer, request.item, now + avoidMs)
    this.#forget(request, now)
    if (!this.#requests.has(request.item)) actions.push({ type: 'abandoned', item: request.item })
  }

  #forget(request: Request, now: number): void {
    this.#rack?.over(request.item, now)
    this.#requests.delete(request.item)
    if (request.state !== 'connecting') this.#peers.released(request.peer)
    const second = this.#hedging.takeOver(request, now)
    if (second !== undefined) this.#requests.add(second)
  }

  #requestAction(request: Request): FetchAction {
    const { peer, item } = request
    return { type: 'request', peer, item, class: request.class, insist: this.#insist.has(item) }
  }

  #choose(item: number, requestClass: RequestClass, now: number): string | undefined {
    const seedsPick = this.#mechanisms.lateBinding
    const insist = this.#insist.has(item)
    return this.choice.choose({ item, class: requestClass, insist, seedsPick }, now)
  }

  #takeHint(item: number, now: number): string | undefined {
    const hints = this.#hints.get(item) ?? []
    this.#hints.delete(item)
    return hints.find(peer => !this.#peers.isAvoided(peer, item, now))
  }
}
