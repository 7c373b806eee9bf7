import type { RequestClass } from '../base/index.ts'
import type { Availability } from './availability.ts'
import type { PeerState, PeerTable } from './peer-table.ts'

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
  // Used again in each search: there are many, and most find nobody.
  #agents: PeerState[] = []
  #seeds: PeerState[] = []

  constructor(peers: PeerTable, have: Availability) {
    this.#peers = peers
    this.#have = have
  }

  choose(wanted: Wanted, now: number): string | undefined {
    this.#findAble(wanted.item, now)
    const agents = this.#agents
    const seeds = this.#seeds
    if (wanted.class === 'urgent') {
      const few = agents.length < holdersEnough && seeds.length > 0
      if (few && !wanted.insist) return soonest(seeds, now)?.id
      return soonest([...agents, ...seeds], now)?.id
    }
    const able = agents.length + seeds.length
    const perPeer = Math.max(spareRequestsPeerMin, Math.ceil(spareRequestsMax / able))
    // The seed is for what nobody else has: what a neighbour holds waits for the neighbour's turn.
    if (agents.length > 0) return soonest(agents, now, perPeer)?.id
    const picks = wanted.class === 'background' && wanted.seedsPick
    const askable = picks ? seeds.filter(seed => now < seed.spentUntil) : seeds
    return soonest(askable, now, perPeer)?.id
  }

  /** Whether somebody else than `peer` could be asked. */
  hasOther(peer: string, item: number, now: number): boolean {
    this.#findAble(item, now)
    return [...this.#agents, ...this.#seeds].some(other => other.id !== peer)
  }

  /** How many peers with every item are seeds that are not to be asked for an item by name now. */
  seedsThatPick(now: number): number {
    let count = 0
    for (const peer of this.#peers.all()) {
      if (peer.role !== 'seed') continue
      if (now < peer.spentUntil) return 0
      if (this.#have.hasAll(peer.id)) count += 1
    }
    return count
  }

  /** Seeds that are to pick one more item each time that they are named, up to `most` under way. */
  takes(most: number, now: number): string[] {
    const takes: string[] = []
    for (const peer of this.#peers.all()) {
      if (peer.role !== 'seed' || now < peer.spentUntil) continue
      for (; peer.takes + peer.requests < most; peer.takes += 1) takes.push(peer.id)
    }
    return takes
  }

  /** A seed that is to pick nothing for us yet, whatever else it was asked for. */
  takeOne(now: number): string | undefined {
    const peer = this.#peers
      .all()
      .find(({ role, takes, spentUntil }) => role === 'seed' && takes === 0 && now >= spentUntil)
    if (peer !== undefined) peer.takes += 1
    return peer?.id
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
export function soonest(
  peers: readonly PeerState[],
  now: number,
  requestsMax = Infinity
): PeerState | undefined {
  let best: PeerState | undefined
  let least = Infinity
  for (const peer of peers) {
    if (peer.requests >= requestsMax) continue
    const cost = (peer.requests + 1) * peer.serviceMs + (now < peer.stalledUntil ? 1e9 : 0)
    if (best !== undefined && cost >= least) continue
    best = peer
    least = cost
  }
  return best
}
