import type { Availability } from './availability.ts'
import type { PeerState, PeerTable } from './peer-table.ts'
import { hashOf, weightOfItem } from './rendezvous.ts'

/** When nothing has come for this long, who was to bring it into the rack does not. */
const patientMs = 1_000
/** While what was asked for across is under way for longer, the line to the others is full: … */
const fullMs = 500
/** … then half as much is asked for at a time, and one more each time that it came sooner. */
const windowMin = 1
const windowInitial = 2
const windowMax = 16
/** So many times as long as it took lately, what nobody waits for may stand still on its way across. */
const patientTimes = 4
const tookWeight = 0.2

/**
 * The machines of the own rack as far as they are known. What none of them has is brought into the rack
 * by one of them, so that it crosses the line to the others about once.
 */
export class Rack {
  #self: string
  #selfHash: number
  #peers: PeerTable
  #have: Availability
  #hashes = new Map<string, number>()
  #movedAt = -Infinity
  #window = windowInitial
  /** Moving average of what bringing an item in took. */
  #tookMs = fullMs
  /** What this machine is bringing in, and since when; the oldest first. */
  #bringing = new Map<number, number>()

  constructor(self: string, peers: PeerTable, have: Availability) {
    this.#self = self
    this.#selfHash = hashOf(self)
    this.#peers = peers
    this.#have = have
  }

  /** Without others in it there is nobody to leave anything to. */
  get hasOthers(): boolean {
    return this.#peers.nearAgents().some(({ id }) => this.#have.isKnown(id))
  }

  /** Something that nobody waited for has come, or is asked for. */
  moved(now: number): void {
    this.#movedAt = now
  }

  bringing(item: number, now: number): void {
    this.#bringing.set(item, now)
    this.#movedAt = now
  }

  /** It has come, or will not. */
  over(item: number, now: number): void {
    const since = this.#bringing.get(item)
    if (since === undefined) return
    this.#bringing.delete(item)
    const tookMs = now - since
    this.#tookMs += tookWeight * (tookMs - this.#tookMs)
    const window = tookMs > fullMs ? this.#window / 2 : this.#window + 1
    this.#window = Math.max(windowMin, Math.min(windowMax, window))
  }

  /** How much longer than at a near peer the item may stand still, in ms. */
  patienceMs(item: number): number {
    return this.#bringing.has(item) ? patientMs + patientTimes * this.#tookMs : 0
  }

  /** Whether this machine is the one to bring in an item that nobody in the rack has. */
  brings(item: number, now: number): boolean {
    const [oldest = now] = this.#bringing.values()
    if (now - oldest > fullMs || this.#bringing.size >= this.#window) return false
    if (now - this.#movedAt > patientMs) return true
    const own = weightOfItem(this.#selfHash, item)
    return !this.#peers
      .nearAgents()
      .some(peer => this.#have.isKnown(peer.id) && this.#isBefore(peer, item, own, now))
  }

  #isBefore(peer: PeerState, item: number, own: number, now: number): boolean {
    if (now < peer.stall.until) return false
    const weight = weightOfItem(this.#hashOf(peer.id), item)
    return weight > own || (weight === own && peer.id < this.#self)
  }

  #hashOf(peer: string): number {
    const known = this.#hashes.get(peer) ?? hashOf(peer)
    this.#hashes.set(peer, known)
    return known
  }
}
