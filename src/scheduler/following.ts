import type { PeerTable } from './peer-table.ts'

/** Whoever led us to a chunk may lead us to the next one for so long. */
const followMs = 1_000

/**
 * Machines that boot together read the same chunks in the same order, one a little behind the other. To
 * whom a seed has sent us for one, that machine is asked for the next as well, and the seed is spared two
 * messages: until it has not got one. Only peers whose id is less than our own are followed, so that two
 * that seek the same chunk never wait for each other.
 */
export class Following {
  #self: string | undefined
  #peers: PeerTable
  #leader: string | undefined
  #until = -Infinity

  constructor(peers: PeerTable, self: string | undefined) {
    this.#peers = peers
    this.#self = self
  }

  /** What somebody waits for is to be had of the peer. */
  sentTo(peer: string, now: number): void {
    if (this.#self === undefined || peer >= this.#self) return
    this.#leader = peer
    this.#until = now + followMs
  }

  /** It has promised what it was asked for. */
  accepted(peer: string, now: number): void {
    if (peer === this.#leader) this.#until = now + followMs
  }

  failed(peer: string): void {
    if (peer === this.#leader) this.#leader = undefined
  }

  /** Whom to ask for the item in place of a seed. */
  leaderFor(item: number, now: number): string | undefined {
    const leader = this.#leader
    if (leader === undefined || now >= this.#until) return undefined
    const isAble = this.#peers.get(leader)?.isNear === true && !this.#peers.isHopeless(leader, now)
    return isAble && !this.#peers.isAvoided(leader, item, now) ? leader : undefined
  }
}
