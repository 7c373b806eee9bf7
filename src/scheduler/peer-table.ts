import { Setback } from './setback.ts'

export type PeerRole = 'seed' | 'agent'

export interface PeerState {
  readonly id: string
  readonly role: PeerRole
  /** In the same rack, so that what it sends crosses no line that many share. */
  readonly isNear: boolean
  /** Requests that are out at the peer. */
  requests: number
  /** Moving average of the time from asking to having, in ms. */
  serviceMs: number
  heardAt: number
  /** Who promises and never sends is, for a while, asked only when nobody else can be. */
  readonly stall: Setback
  /** Items that it is to pick for us and has not yet. */
  takes: number
  /** A seed that has no more to give: until then it is asked for items by name. */
  spentUntil: number
}

/** Before the first answer: what a peer on the same switch takes. */
const serviceMsInitial = 5
const serviceWeight = 0.2

/** The connected peers, how quick each is, and which item not to ask of whom for now. */
export class PeerTable {
  #peers = new Map<string, PeerState>()
  /** The same, to be gone through quickly. */
  #list: readonly PeerState[] = []
  #seeds: readonly PeerState[] = []
  #nearAgents: readonly PeerState[] = []
  #banned = new Set<string>()
  /** item → peer → until when it is not asked. Kept for peers that are not connected too. */
  #avoided = new Map<number, Map<string, number>>()

  join(id: string, role: PeerRole, now: number, isNear = true): void {
    this.#peers.set(id, {
      id,
      role,
      isNear,
      requests: 0,
      serviceMs: serviceMsInitial,
      heardAt: now,
      stall: new Setback(),
      takes: 0,
      spentUntil: -Infinity
    })
    this.#listAgain()
  }

  leave(id: string): void {
    if (!this.#peers.delete(id)) return
    this.#listAgain()
  }

  get(id: string): PeerState | undefined {
    return this.#peers.get(id)
  }

  all(): readonly PeerState[] {
    return this.#list
  }

  seeds(): readonly PeerState[] {
    return this.#seeds
  }

  nearAgents(): readonly PeerState[] {
    return this.#nearAgents
  }

  #listAgain(): void {
    this.#list = [...this.#peers.values()]
    this.#seeds = this.#list.filter(({ role }) => role === 'seed')
    this.#nearAgents = this.#list.filter(({ role, isNear }) => role === 'agent' && isNear)
  }

  heard(id: string, now: number): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined) peer.heardAt = now
  }

  asked(id: string): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined) peer.requests += 1
  }

  released(id: string): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined && peer.requests > 0) peer.requests -= 1
  }

  settled(id: string, askedAt: number, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.released(id)
    peer.serviceMs += serviceWeight * (now - askedAt - peer.serviceMs)
    peer.stall.succeeded()
  }

  /** From asking to having, in ms, over all peers; 0 when there is none. */
  meanServiceMs(): number {
    const sum = this.#list.reduce((all, { serviceMs }) => all + serviceMs, 0)
    return this.#list.length === 0 ? 0 : sum / this.#list.length
  }

  /** The peer has picked an item for us. */
  taken(id: string): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined && peer.takes > 0) peer.takes -= 1
  }

  spent(id: string, until: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.taken(id)
    peer.spentUntil = until
  }

  /** A request there stood still until it was given up. */
  stalled(id: string, askedAt: number, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.stall.failed(now)
    peer.serviceMs += serviceWeight * Math.max(0, now - askedAt - peer.serviceMs)
  }

  /** Whether what others say of the peer is not worth following. */
  isHopeless(id: string, now: number): boolean {
    return this.#banned.has(id) || now < (this.#peers.get(id)?.stall.until ?? -Infinity)
  }

  /** It is never asked again. */
  ban(id: string): void {
    this.#banned.add(id)
  }

  avoid(id: string, item: number, until: number): void {
    const peers = this.#avoided.get(item) ?? new Map<string, number>()
    this.#avoided.set(item, peers.set(id, until))
  }

  isAvoided(id: string, item: number, now: number): boolean {
    const peers = this.#avoided.get(item)
    const until = peers?.get(id)
    if (peers === undefined || until === undefined) return false
    if (now < until) return true
    peers.delete(id)
    if (peers.size === 0) this.#avoided.delete(item)
    return false
  }

  /** An item that is here needs no memory of who could not deliver it. */
  forgive(item: number): void {
    this.#avoided.delete(item)
  }
}
