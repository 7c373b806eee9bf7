import type { RequestClass } from '../base/index.ts'
import type { Availability } from './availability.ts'
import type { PeerState, PeerTable } from './peer-table.ts'
import type { Rack } from './rack.ts'
import { homeOf } from './rendezvous.ts'

/** Requests that nobody waits for, a node and a peer (research/swarm-simulation.md, Kb, Kp). */
export const spareRequestsMax = 16
const spareRequestsPeerMin = 4
/** An urgent miss asks the seed while fewer holders than this are known. */
const holdersEnough = 3

export interface Wanted {
  readonly item: number
  readonly class: RequestClass
  /** A redirect led nowhere: the next holder must serve. */
  readonly insist: boolean
  /** Seeds pick what they send in the background: they are asked by name only when they have no more. */
  readonly seedsPick: boolean
}

/** Whom to ask for an item: of those that have it and may be asked, who should answer first. */
export class PeerChoice {
  #peers: PeerTable
  #have: Availability
  #keyOf: (item: number) => string | undefined
  #rack: Rack | undefined
  // Used again in each search: there are many, and most find nobody.
  #agents: PeerState[] = []
  #seeds: PeerState[] = []

  /**
   * `keyOf` names an item as seeds do; undefined while that is not known. Without a `rack` all peers
   * are as near as any.
   */
  constructor(
    peers: PeerTable,
    have: Availability,
    keyOf: (item: number) => string | undefined = String,
    rack?: Rack
  ) {
    this.#peers = peers
    this.#have = have
    this.#keyOf = keyOf
    this.#rack = rack
  }

  choose(wanted: Wanted, now: number): string | undefined {
    this.#findAble(wanted.item, now)
    const agents = this.#agents
    const able = agents.length + this.#seeds.length
    const seeds = this.#homeAmong(this.#seeds, wanted, now)
    if (this.#rack?.hasOthers === true && agents.some(({ isNear }) => !isNear)) {
      return this.#chooseAcross(this.#rack, agents, seeds, wanted, now)
    }
    if (wanted.class === 'urgent') {
      const few = agents.length < holdersEnough && seeds.length > 0
      if (few && !wanted.insist) return soonest(seeds, now)?.id
      return soonest([...agents, ...seeds], now)?.id
    }
    const perPeer = Math.max(spareRequestsPeerMin, Math.ceil(spareRequestsMax / able))
    // The seed is for what nobody else has: what a neighbour holds waits for the neighbour's turn.
    const lively = agents.filter(({ stall }) => now >= stall.until)
    if (lively.length > 0) return soonest(lively, now, perPeer)?.id
    return soonest(seeds.length > 0 ? seeds : agents, now, perPeer)?.id
  }

  /**
   * Some of those that have it are in other racks: they come last, and who asks one of them is the
   * one of its rack to do so. The seed knows whom it has sent across.
   */
  #chooseAcross(
    rack: Rack,
    agents: readonly PeerState[],
    seeds: readonly PeerState[],
    wanted: Wanted,
    now: number
  ): string | undefined {
    const near = agents.filter(({ isNear, stall }) => isNear && now >= stall.until)
    const spare = Math.max(
      spareRequestsPeerMin,
      Math.ceil(spareRequestsMax / (agents.length + seeds.length))
    )
    const most = wanted.class === 'urgent' ? Infinity : spare
    if (near.length > 0) return soonest(near, now, most)?.id
    if (wanted.class !== 'background') {
      if (!wanted.insist && seeds.length > 0) return soonest(seeds, now, most)?.id
      return soonest([...agents, ...seeds], now, most)?.id
    }
    if (!rack.brings(wanted.item, now)) return undefined
    const peer = soonest(agents, now, most)?.id
    if (peer !== undefined) rack.bringing(wanted.item, now)
    return peer
  }

  /** Of several seeds an item has one home, so that each sends its share; the next when that fails. */
  #homeAmong(seeds: readonly PeerState[], wanted: Wanted, now: number): readonly PeerState[] {
    const picks = wanted.class === 'background' && wanted.seedsPick
    const askable = picks ? seeds.filter(seed => now < seed.spentUntil) : seeds
    if (askable.length < 2) return askable
    const key = this.#keyOf(wanted.item)
    const lively = askable.filter(({ stall }) => now >= stall.until)
    const ids = (lively.length > 0 ? lively : askable).map(({ id }) => id)
    const home = key === undefined ? undefined : homeOf(ids, key)
    return home === undefined ? askable : askable.filter(({ id }) => id === home)
  }

  /** Whether somebody else than `peer` could be asked, and whether that need not be a seed. */
  otherThan(peer: string, item: number, now: number): 'agent' | 'seed' | undefined {
    this.#findAble(item, now)
    if (this.#agents.some(other => other.id !== peer)) return 'agent'
    return this.#seeds.some(other => other.id !== peer) ? 'seed' : undefined
  }

  /** Who else could answer at once; a seed only if need be and `seedToo`. */
  second(item: number, peer: string, seedToo: boolean, now: number): string | undefined {
    this.#findAble(item, now)
    const isOther = ({ id, stall }: PeerState): boolean => id !== peer && now >= stall.until
    const agents = this.#agents.filter(isOther)
    const near = agents.filter(({ isNear }) => isNear)
    const found = soonest(near.length > 0 ? near : agents, now)
    return (found ?? (seedToo ? soonest(this.#seeds.filter(isOther), now) : undefined))?.id
  }

  /** How many peers with every item are seeds that are not to be asked for an item by name now. */
  seedsThatPick(now: number): number {
    let count = 0
    for (const peer of this.#peers.seeds()) {
      if (now < peer.spentUntil) return 0
      if (this.#have.hasAll(peer.id)) count += 1
    }
    return count
  }

  /** Seeds that are to pick one more item each time that they are named, up to `most` under way. */
  takes(most: number, now: number): string[] {
    const takes: string[] = []
    for (const peer of this.#peers.seeds()) {
      if (now < peer.spentUntil) continue
      for (; peer.takes + peer.requests < most; peer.takes += 1) takes.push(peer.id)
    }
    return takes
  }

  seedsWithAll(): number {
    return this.#peers.seeds().filter(({ id }) => this.#have.hasAll(id)).length
  }

  /** How many items seeds are to pick for us and have not yet. */
  taking(): number {
    return this.#peers.seeds().reduce((sum, { takes }) => sum + takes, 0)
  }

  /** The one seed, if any, that is to pick nothing for us yet, whatever else it was asked for. */
  takeOne(now: number): string[] {
    const peer = this.#peers
      .seeds()
      .find(({ takes, spentUntil }) => takes === 0 && now >= spentUntil)
    if (peer === undefined) return []
    peer.takes += 1
    return [peer.id]
  }

  #findAble(item: number, now: number): void {
    this.#agents.length = 0
    this.#seeds.length = 0
    if (this.#have.holderCount(item) === 0) return
    for (const peer of this.#peers.all()) {
      if (!this.#have.has(peer.id, item) || this.#peers.isAvoided(peer.id, item, now)) continue
      if (peer.role === 'seed') this.#seeds.push(peer)
      else this.#agents.push(peer)
    }
  }
}

/**
 * By how long a request took there lately and how many are in front of it; the stalled come last.
 * Those with `requestsMax` requests or more are left out.
 */
function soonest(
  peers: readonly PeerState[],
  now: number,
  requestsMax = Infinity
): PeerState | undefined {
  let best: PeerState | undefined
  let least = Infinity
  for (const peer of peers) {
    if (peer.requests >= requestsMax) continue
    const cost = (peer.requests + 1) * peer.serviceMs + (now < peer.stall.until ? 1e9 : 0)
    if (best !== undefined && cost >= least) continue
    best = peer
    least = cost
  }
  return best
}
