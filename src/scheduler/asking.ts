import type { RequestClass } from '../base/index.ts'
import type { Availability } from './availability.ts'
import type { FetchAction } from './fetch-events.ts'
import type { Mechanisms } from './mechanisms.ts'
import { PeerChoice } from './peer-choice.ts'
import type { PeerTable } from './peer-table.ts'
import { isSooner, isStalled, RequestTable, stuckMs, type Request } from './request-table.ts'

const refusedMs = { 'not-held': 1_000, busy: 100, 'given-up': 300, corrupt: 60_000 } as const
export type Refusal = keyof typeof refusedMs
const stalledMs = 2_000

export interface AskingInit {
  readonly peers: PeerTable
  readonly have: Availability
  readonly mechanisms: Mechanisms
  /** How long a request may stand still at a peer that is busy with other things. */
  readonly fallbackMs?: number | undefined
}

/** What is asked of whom, from the first question to the item's arrival or the next peer. */
export class Asking {
  readonly choice: PeerChoice
  #mechanisms: Mechanisms
  #peers: PeerTable
  #have: Availability
  #fallbackMs: number
  #requests = new RequestTable()
  /** Where a peer told us to get the item; tried before anybody else. */
  #hints = new Map<number, string[]>()
  /** Items for which a redirect led nowhere: the next holder must serve. */
  #insist = new Set<number>()

  constructor({ peers, have, mechanisms, fallbackMs = stuckMs }: AskingInit) {
    this.choice = new PeerChoice(peers, have)
    this.#mechanisms = mechanisms
    this.#peers = peers
    this.#have = have
    this.#fallbackMs = fallbackMs
  }

  get size(): number {
    return this.#requests.size
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

  reclass(item: number, requestClass: RequestClass, actions: FetchAction[]): void {
    const request = this.#requests.get(item)
    if (request === undefined || request.class === requestClass) return
    this.#requests.reclass(request, requestClass)
    if (request.state !== 'connecting') actions.push(this.#requestAction(request))
  }

  /** Who waits for one who waits in the background would itself wait in the background. */
  awaited(item: number, requestClass: RequestClass, actions: FetchAction[]): void {
    const request = this.#requests.get(item)
    if (request === undefined || !this.#mechanisms.inheritance) return
    if (isSooner(requestClass, request.class)) this.reclass(item, requestClass, actions)
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

  settle(item: number, now: number): FetchAction[] {
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
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      if (request.peer === peer) this.#giveUp(request, now, refusedMs.busy, actions)
    }
    this.#peers.leave(peer)
    this.#have.remove(peer)
    return actions
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
    if (reason === 'not-held') this.#have.set(peer, item, false)
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return []
    const actions: FetchAction[] = []
    this.#giveUp(request, now, refusedMs[reason], actions)
    return actions
  }

  redirected(peer: string, item: number, to: readonly string[], now: number): void {
    const request = this.#requests.get(item)
    if (request === undefined || request.peer !== peer) return
    const targets = to.filter(other => !this.#peers.isAvoided(other, item, now))
    if (targets.length > 0) this.#hints.set(item, targets)
    else this.#insist.add(item)
    this.#forget(request)
  }

  dropStalled(now: number): FetchAction[] {
    const actions: FetchAction[] = []
    for (const request of this.#requests.all()) {
      if (!isStalled(request, this.#peers.get(request.peer), now, this.#fallbackMs)) continue
      // Nothing is gained by giving up the only peer that can deliver.
      if (!this.choice.hasOther(request.peer, request.item, now)) continue
      if (request.state !== 'connecting') {
        actions.push({ type: 'cancel', peer: request.peer, item: request.item })
        this.#peers.stalled(request.peer, now)
      }
      this.#insist.add(request.item)
      this.#giveUp(request, now, stalledMs, actions)
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
