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
import { allMechanisms, type Mechanisms } from './mechanisms.ts'
import { Failing } from './failing.ts'
import { homeOf } from './rendezvous.ts'

/** A peer that got the chunk from here, or was told by us where to get it. */
interface Grant {
  readonly peer: string
  /** The peer that we sent it to; undefined when it gets the chunk from us. */
  readonly parent: string | undefined
  /** Peers that were sent to this one and have not got the chunk yet. */
  children: number
  /** `receiving` and `expected` are hopes with a lease; `held` is what the peer said itself. */
  state: 'receiving' | 'expected' | 'held'
  at: number
  /** Peers that this one was sent to in vain. */
  readonly tried: readonly string[]
}

/** How many may get one chunk from one peer at a time (research/swarm-simulation.md, ablation). */
const fanOut = { urgent: 1, prefetch: 1, background: 8 } as const
const fanOutWithoutChains = { urgent: 2, prefetch: 8, background: 8 } as const
/** A peer that was to get a chunk and has not said so after this long counts as not having it. */
const leaseMs = 2_000
/** Grants remembered for a chunk: enough for a tree; the oldest holders make room. */
const grantsMax = 64
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

  /** Mechanisms not named are on. */
  constructor(role: 'seed' | 'agent', mechanisms: Partial<Mechanisms> = {}) {
    this.#role = role
    this.#mechanisms = { ...allMechanisms, ...mechanisms }
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
    const fanOut = this.#fanOut[want.class]
    const direct = grants.filter(grant => grant.parent === undefined && isHope(grant)).length
    const isFirstHand = this.#role === 'seed' && holding === 'held'
    const roomHere = isFirstHand ? 0 : fanOut - direct
    const target = roomHere > 0 ? undefined : this.#target(want, grants, tried, now)
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
    this.#add(grants, { peer, parent, children, state: 'receiving', at: now, tried })
    for (const copies of this.#firstCopies.values()) copies.given(want.id, peer, now)
    return { kind: holding === 'held' ? 'send' : 'wait' }
  }

  /** Whom to ask instead. Who insists was sent elsewhere in vain: only a holder is sure to serve it. */
  #target(
    want: Want,
    all: readonly Grant[],
    tried: readonly string[],
    now: number
  ): Grant | undefined {
    const fanOut = this.#fanOut[want.class]
    const grants = all.filter(({ peer }) => !this.#failing.isFailing(peer, now))
    if (!want.insist) return chooseTarget(grants, want.peer, fanOut)
    if (this.#role !== 'seed' || !this.#mechanisms.lateBudget) return undefined
    if (tried.length === 0 || tried.length >= triedMax) return undefined
    const holders = grants.filter(({ state, peer }) => state === 'held' && !tried.includes(peer))
    return chooseTarget(holders, want.peer, fanOut)
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

  offers(imageId: ChunkId): boolean {
    return this.#firstCopies.has(imageId)
  }

  next(peer: string, imageId: ChunkId, now: number): Gift {
    const gift = this.#firstCopies.get(imageId)?.next(peer, now) ?? { kind: 'later' }
    if (gift.kind !== 'chunk') return gift
    const { id } = gift
    const grants = this.#current(id, now)
    const children = this.#remove(grants, peer)?.children ?? 0
    this.#add(grants, { peer, parent: undefined, children, state: 'receiving', at: now, tried: [] })
    return gift
  }

  sent(peer: string, id: ChunkId, now: number): void {
    this.#lateCopies.sent()
    const grant = this.#find(peer, id)
    // The lease begins anew: the peer still has to check and keep what it got.
    if (grant !== undefined) grant.at = now
  }

  dropped(peer: string, id: ChunkId): void {
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
    if (grants.filter(grant => grant.state === 'held').length >= holdersMax) return
    this.#chunks.set(id, grants)
    const parent = undefined
    this.#add(grants, { peer, parent, children: 0, state: 'held', at: -Infinity, tried: [] })
  }

  gone(peer: string): void {
    for (const grants of this.#chunks.values()) this.#remove(grants, peer)
  }

  #current(id: ChunkId, now: number): Grant[] {
    const grants = this.#chunks.get(id) ?? []
    this.#chunks.set(id, grants)
    for (const grant of [...grants]) {
      if (isHope(grant) && now - grant.at > leaseMs) this.#remove(grants, grant.peer)
    }
    return grants
  }

  #find(peer: string, id: ChunkId): Grant | undefined {
    return this.#chunks.get(id)?.find(grant => grant.peer === peer)
  }

  #add(grants: Grant[], grant: Grant): void {
    grants.push(grant)
    if (grants.length > grantsMax) {
      grants.splice(
        Math.max(
          0,
          grants.findIndex(other => other.state === 'held')
        ),
        1
      )
    }
  }

  #remove(grants: Grant[], peer: string): Grant | undefined {
    const index = grants.findIndex(grant => grant.peer === peer)
    const [grant] = index < 0 ? [] : grants.splice(index, 1)
    if (grant !== undefined && isHope(grant)) releaseParent(grants, grant)
    return grant
  }
}

function isHope(grant: Grant): boolean {
  return grant.state !== 'held'
}

function releaseParent(grants: readonly Grant[], child: Grant): void {
  const parent = parentOf(grants, child)
  if (parent !== undefined) parent.children -= 1
}

/** Who should have the chunk soonest and is asked by the fewest; never one that waits for `asker`. */
function chooseTarget(grants: readonly Grant[], asker: string, fanOut: number): Grant | undefined {
  const order = { held: 0, receiving: 1, expected: 2 } as const
  return grants
    .filter(grant => grant.children < fanOut && !waitsFor(grants, grant, asker))
    .sort((a, b) => order[a.state] - order[b.state] || a.children - b.children || a.at - b.at)[0]
}

function waitsFor(grants: readonly Grant[], grant: Grant, asker: string): boolean {
  let current: Grant | undefined = grant
  // A chain is no longer than the list; the bound also ends a list that would go in a circle.
  for (let step = 0; step <= grants.length; step += 1) {
    if (current === undefined) return false
    if (current.peer === asker) return true
    // A holder waits for nobody.
    if (!isHope(current)) return false
    if (current.parent === asker) return true
    current = parentOf(grants, current)
  }
  return true
}

function parentOf(grants: readonly Grant[], child: Grant): Grant | undefined {
  return grants.find(grant => grant.peer === child.parent)
}
