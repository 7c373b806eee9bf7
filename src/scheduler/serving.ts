import type {
  ChunkId,
  Gift,
  GivePolicy,
  Holding,
  ServeDecision,
  ServePolicy,
  Want
} from '../base/index.ts'
import { FirstCopies } from './first-copies.ts'
import { LateCopies } from './late-copies.ts'
import { defaultMechanisms, type Mechanisms } from './mechanisms.ts'
import { Failing } from './failing.ts'
import { OwnRack } from './own-rack.ts'
import { Places } from './places.ts'
import { homeOf } from './rendezvous.ts'

/** A peer that got the chunk from here, or was told by us where to get it. */
interface Grant {
  readonly peer: string
  /** The peer that we sent it to; undefined when it gets the chunk from us. */
  readonly parent: string | undefined
  /** Peers that were sent to this one and have not got the chunk yet. */
  children: number
  /** `queued` has not left here yet. All but `held`, which the peer said itself, are hopes with a lease. */
  state: 'queued' | 'receiving' | 'expected' | 'held'
  at: number
  /** Peers that this one was sent to in vain. */
  readonly tried: readonly string[]
}

/** How many may get one chunk from one peer at a time (research/swarm-simulation.md, ablation). */
const fanOut = { urgent: 1, prefetch: 1, background: 8 } as const
const fanOutWithoutChains = { urgent: 2, prefetch: 8, background: 8 } as const
/**
 * A peer that was to get a chunk and has not said so after this long counts as not having it. What has left
 * us lies in front of lines, is checked, and is news once a second: with 2 s a seed on 10 Mbit/s sent 1.56
 * copies of what a boot profile names, with 5 s 1.19.
 */
const leaseMs = 5_000
/**
 * What still stands in line here is our delay and not the peer's: to send it to the next who asks as well
 * makes the line longer. With a lease of 2 s, a seed on 10 Mbit/s sent sixteen machines 1.41 copies of
 * what a boot profile names, half a second to two late. Whoever stops waiting says so by insisting.
 */
const lineMs = 10_000
/** Holders remembered of those that got a chunk by us; hopes are all remembered, and soon over. */
const heldMax = 32
/** With this many waiting for one chunk a chain of them would be too long: each passes it on to two … */
const chainMax = 32
/** … and with this many to three. */
const pairsMax = 256
/** Other holders that a late asker is sent to before the seed serves it. */
const triedMax = 2
/** Holders remembered that did not get the chunk by us. */
const holdersMax = 4

/**
 * Decides who gets a chunk from this node. Every chunk grows a tree of its own: a seed sends it once
 * and names a receiver to whoever asks next; an agent serves a few and then does the same. A peer is
 * never sent to one that waits for it, so no cycle can form.
 */
export class Serving implements ServePolicy, GivePolicy {
  #role: 'seed' | 'agent'
  #mechanisms: Mechanisms
  #fanOut: typeof fanOut | typeof fanOutWithoutChains
  #chunks = new Map<ChunkId, Grant[]>()
  /** Image → which of its chunks have left this seed. */
  #firstCopies = new Map<ChunkId, FirstCopies>()
  /** Image → whether this seed is a chunk's home, where there are others. */
  #homes = new Map<ChunkId, (id: ChunkId) => boolean>()
  #lateCopies = new LateCopies()
  #failing = new Failing()
  #places: Places
  #ownRack: OwnRack

  /** Mechanisms not named are on. `place` is this node's own, as those of its peers are named. */
  constructor(role: 'seed' | 'agent', mechanisms: Partial<Mechanisms> = {}, place?: string) {
    this.#role = role
    this.#mechanisms = { ...defaultMechanisms, ...mechanisms }
    this.#places = new Places(place)
    this.#ownRack = new OwnRack(this.#places)
    this.#fanOut = this.#mechanisms.chains ? fanOut : fanOutWithoutChains
  }

  decide(want: Want, holding: Holding, now: number): ServeDecision {
    if (holding === 'absent') return { kind: 'refuse', reason: 'not-held' }
    const grants = this.#current(want.id, now)
    // Who asks again may have been given askers of its own in the meantime.
    const known = this.#remove(grants, want.peer)
    const children = known?.children ?? 0
    const tried = [...(known?.tried ?? []), ...(known?.parent === undefined ? [] : [known.parent])]
    if (want.insist && known?.parent !== undefined) this.#failing.failed(known.parent, now)
    const fanOut = this.#fanOutOf(want, grants)
    const direct = grants.filter(grant => grant.parent === undefined && isHope(grant)).length
    const isFirstHand = this.#role === 'seed' && holding === 'held'
    const roomHere = isFirstHand ? 0 : fanOut - direct
    const target =
      roomHere > 0
        ? this.#rackmate(want, grants, fanOut, now)
        : this.#target(want, grants, { fanOut, tried, now })
    const { peer } = want
    if (target !== undefined) {
      target.children += 1
      const parent = target.peer
      this.#add(grants, { peer, parent, children, state: 'expected', at: now, tried })
      return { kind: 'redirect', to: [parent] }
    }
    if (holding !== 'held' && roomHere <= 0) return { kind: 'refuse', reason: 'busy' }
    if (isFirstHand && !this.#mayCopy(grants, now)) return { kind: 'refuse', reason: 'busy' }
    const parent = undefined
    this.#add(grants, { peer, parent, children, state: 'queued', at: now, tried })
    for (const copies of this.#firstCopies.values()) copies.given(want.id, peer, now)
    return { kind: holding === 'held' ? 'send' : 'wait' }
  }

  /** Whom to ask instead. Who insists was sent elsewhere in vain: only a holder is sure to serve it. */
  #target(
    want: Want,
    all: readonly Grant[],
    { fanOut, tried, now }: { fanOut: number; tried: readonly string[]; now: number }
  ): Grant | undefined {
    const able = (near: boolean): Grant[] =>
      this.#able(want.peer, all, { fanOut, near, now }).filter(
        ({ state, peer }) => !want.insist || (state === 'held' && !tried.includes(peer))
      )
    if (want.insist) {
      if (this.#role !== 'seed' || !this.#mechanisms.lateBudget) return undefined
      if (tried.length === 0 || tried.length >= triedMax) return undefined
    }
    return chooseTarget(able(true), all, want.peer) ?? chooseTarget(able(false), all, want.peer)
  }

  /** Who is in another rack gets it from there, even though there is room here. */
  #rackmate(want: Want, all: readonly Grant[], fanOut: number, now: number): Grant | undefined {
    const { peer, insist } = want
    if (insist || !this.#mechanisms.nearness || !this.#places.isFar(peer)) return undefined
    return chooseTarget(this.#able(peer, all, { fanOut, near: true, now }), all, peer)
  }

  /**
   * Those of the asker's own rack that can take one more of it, or those of other racks; each rack has
   * a chain of its own.
   */
  #able(
    asker: string,
    all: readonly Grant[],
    { fanOut, near, now }: { fanOut: number; near: boolean; now: number }
  ): Grant[] {
    const isAlike = ({ peer }: Grant, other: string): boolean =>
      !this.#mechanisms.nearness || this.#places.areNear(peer, other)
    const children = new Map<string, number>()
    for (const child of all) {
      const { parent } = child
      if (!isHope(child) || parent === undefined || isAlike(child, parent) !== near) continue
      children.set(parent, (children.get(parent) ?? 0) + 1)
    }
    return all.filter(
      grant =>
        isAlike(grant, asker) === near &&
        (children.get(grant.peer) ?? 0) < fanOut &&
        !this.#failing.isFailing(grant.peer, now)
    )
  }

  /** One after the other is best for every line, as long as the last does not wait for too many. */
  #fanOutOf(want: Want, grants: readonly Grant[]): number {
    const fanOut = this.#fanOut[want.class]
    const hopes = grants.filter(isHope).length
    const needed = hopes < chainMax ? 1 : hopes < pairsMax ? 2 : 3
    return Math.max(fanOut, needed)
  }

  /** A chunk that others were given already is sent once more only within bounds. */
  #mayCopy(others: readonly Grant[], now: number): boolean {
    // What only those have who do not pass it on has not really left.
    const useful = others.filter(({ peer }) => !this.#failing.isFailing(peer, now))
    if (useful.length === 0 || !this.#mechanisms.lateBudget) return true
    return this.#lateCopies.take(now)
  }

  /** The chunks that a seed may give of an image, in the order in which they are to leave it. */
  offer(imageId: ChunkId, ids: readonly ChunkId[]): void {
    if (this.#firstCopies.has(imageId)) return
    const copies = new FirstCopies(ids)
    this.#firstCopies.set(imageId, copies)
    const isHome = this.#homes.get(imageId)
    if (isHome !== undefined) copies.share(isHome)
  }

  /**
   * The other seeds of an image, by peer id, each time that one comes or goes: each of us gives first
   * the chunks whose home it is. `self` is this seed's own peer id.
   */
  seeds(imageId: ChunkId, self: string, others: Iterable<string>): void {
    const seeds = [...new Set([self, ...others])]
    const isHome = (id: ChunkId): boolean => seeds.length < 2 || homeOf(seeds, id) === self
    this.#homes.set(imageId, isHome)
    this.#firstCopies.get(imageId)?.share(isHome)
  }

  /** Of what is offered, this leaves the seed first: a boot is foreseen to read it in this order. */
  prefer(imageId: ChunkId, ids: readonly ChunkId[]): void {
    if (this.#mechanisms.profile) this.#firstCopies.get(imageId)?.prefer(ids)
  }

  offers(imageId: ChunkId): boolean {
    return this.#firstCopies.has(imageId)
  }

  next(peer: string, imageId: ChunkId, now: number): Gift {
    if (this.#mechanisms.nearness && !this.#ownRack.mayTake(peer, now)) return { kind: 'later' }
    const gift = this.#firstCopies.get(imageId)?.next(peer, now) ?? { kind: 'later' }
    if (gift.kind !== 'chunk') return gift
    const { id } = gift
    const grants = this.#current(id, now)
    const children = this.#remove(grants, peer)?.children ?? 0
    this.#add(grants, { peer, parent: undefined, children, state: 'queued', at: now, tried: [] })
    return gift
  }

  sent(peer: string, id: ChunkId, now: number): void {
    this.#lateCopies.sent()
    for (const copies of this.#firstCopies.values()) copies.sent(id, peer, now)
    const grant = this.#find(peer, id)
    // The lease begins anew: the peer still has to check and keep what it got.
    if (grant === undefined) return
    grant.at = now
    if (grant.state === 'queued') grant.state = 'receiving'
  }

  dropped(peer: string, id: ChunkId): void {
    for (const copies of this.#firstCopies.values()) copies.dropped(id, peer)
    const grants = this.#chunks.get(id)
    if (grants !== undefined) this.#remove(grants, peer)
  }

  holds(peer: string, id: ChunkId): void {
    for (const copies of this.#firstCopies.values()) copies.confirmed(id)
    const grants = this.#chunks.get(id)
    const grant = grants?.find(other => other.peer === peer)
    if (grant === undefined) {
      this.#addHolder(peer, id)
      return
    }
    if (grants === undefined || grant.state === 'held') return
    grant.state = 'held'
    if (grant.parent !== undefined) this.#failing.delivered(grant.parent)
    releaseParent(grants, grant)
  }

  /**
   * A peer has the chunk from somebody else. A few are worth remembering: a seed that was restarted
   * knows by them to whom it can send those who ask.
   */
  #addHolder(peer: string, id: ChunkId): void {
    if (this.#role !== 'seed' || !this.#mechanisms.rebuilding) return
    const grants = this.#chunks.get(id) ?? []
    const held = grants.filter(grant => grant.state === 'held')
    const isFirstOfRack = !held.some(other => this.#places.areNear(other.peer, peer))
    if (held.length >= (isFirstOfRack ? heldMax : holdersMax)) return
    this.#chunks.set(id, grants)
    const parent = undefined
    this.#add(grants, { peer, parent, children: 0, state: 'held', at: -Infinity, tried: [] })
  }

  /** Where a peer is that has come: a label or a subnet, the same for all in one rack. */
  located(peer: string, place: string): void {
    this.#places.set(peer, place)
  }

  gone(peer: string): void {
    this.#places.delete(peer)
    for (const [id, grants] of this.#chunks) {
      const gone = this.#remove(grants, peer)
      if (gone?.state !== 'held' || grants.some(({ state }) => state === 'held')) continue
      for (const copies of this.#firstCopies.values()) copies.lost(id)
    }
  }

  #current(id: ChunkId, now: number): Grant[] {
    const grants = this.#chunks.get(id) ?? []
    this.#chunks.set(id, grants)
    for (const grant of [...grants]) {
      if (isHope(grant) && now - grant.at > leaseOf(grant)) this.#remove(grants, grant.peer)
    }
    return grants
  }

  #find(peer: string, id: ChunkId): Grant | undefined {
    return this.#chunks.get(id)?.find(grant => grant.peer === peer)
  }

  #add(grants: Grant[], grant: Grant): void {
    grants.push(grant)
    if (grants.length <= heldMax) return
    const held = grants.filter(({ state }) => state === 'held')
    const isIdle = ({ children }: Grant): boolean => children === 0
    const isSpare = ({ peer }: Grant): boolean =>
      held.some(other => other.peer !== peer && this.#places.areNear(other.peer, peer))
    const idle = held.find(other => isIdle(other) && isSpare(other)) ?? held.find(isIdle)
    if (held.length > heldMax && idle !== undefined) grants.splice(grants.indexOf(idle), 1)
  }

  #remove(grants: Grant[], peer: string): Grant | undefined {
    const index = grants.findIndex(grant => grant.peer === peer)
    const [grant] = index < 0 ? [] : grants.splice(index, 1)
    if (grant !== undefined && isHope(grant)) releaseParent(grants, grant)
    return grant
  }
}

function leaseOf({ state }: Grant): number {
  return state === 'queued' ? lineMs : leaseMs
}

function isHope(grant: Grant): boolean {
  return grant.state !== 'held'
}

function releaseParent(grants: readonly Grant[], child: Grant): void {
  const parent = parentOf(grants, child)
  if (parent !== undefined) parent.children -= 1
}

/** Of those able, who should have the chunk soonest; never one that waits for `asker`. */
function chooseTarget(
  able: readonly Grant[],
  grants: readonly Grant[],
  asker: string
): Grant | undefined {
  const order = { held: 0, queued: 1, receiving: 1, expected: 2 } as const
  const byPeer = new Map(grants.map(grant => [grant.peer, grant]))
  return able
    .map(grant => ({ grant, line: lineOf(grant, byPeer) }))
    .filter(({ line }) => !line.some(member => waitsFor(member, asker)))
    .sort(
      (a, b) =>
        order[a.grant.state] - order[b.grant.state] ||
        a.line.length - b.line.length ||
        a.grant.children - b.grant.children ||
        a.grant.at - b.grant.at
    )[0]?.grant
}

function waitsFor(grant: Grant, asker: string): boolean {
  return grant.peer === asker || (isHope(grant) && grant.parent === asker)
}

/** The peer, whom it waits for, whom that one waits for, and so on; a holder waits for nobody. */
function lineOf(grant: Grant, byPeer: ReadonlyMap<string, Grant>): Grant[] {
  const line = [grant]
  for (let current: Grant | undefined = grant; isHope(current);) {
    current = current.parent === undefined ? undefined : byPeer.get(current.parent)
    if (current === undefined) break
    line.push(current)
    // A line that goes in a circle has no end; it is no shorter for being looked at once more.
    if (line.length > byPeer.size) break
  }
  return line
}

function parentOf(grants: readonly Grant[], child: Grant): Grant | undefined {
  return grants.find(grant => grant.peer === child.parent)
}
