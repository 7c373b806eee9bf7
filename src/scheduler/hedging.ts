import type { FetchAction } from './fetch-events.ts'
import type { PeerChoice } from './peer-choice.ts'
import type { PeerTable } from './peer-table.ts'
import type { Request } from './request-table.ts'
import { UsualTimes } from './usual-times.ts'

/** Of all that comes, so much may be what has come already … */
const share = 0.04
/** … and this much in any case: the first reads of a boot are what somebody waits for. */
const bytesMin = 256 * 1024
/** What may still be on its way from a loser when it is told to stop. */
const tailBytes = 32 * 1024
/** Sooner than this nobody is late, whatever is usual. */
const lateMsMin = 50
/** A peer that is always slow is late when it takes so many times what is usual of all. */
const usualTimes = 2
/**
 * In a chain it is for the one before us to ask somebody else, since all behind it gain by that. But one that
 * answers slowly stands in the way of all behind it: when our line could have brought so many frames, somebody
 * else who has it is asked. Simulated, healthy machines seldom wait for so long; behind one that answers 20 times
 * slower they waited for up to 4 s at 40 Mbit/s.
 */
const chainFrames = 24
/** A seed has others to serve: it is asked only when a read is so many times as late. */
const seedLateness = 2

/** A second request for what somebody waits for. */
interface Hedge {
  readonly item: number
  readonly peer: string
  readonly askedAt: number
  /** What it may cost, until it is known what it has cost. */
  readonly reservedBytes: number
  received: number
}

/** How large frames are, how long our line takes for one, and how long it is busy with all that is on its way. */
export interface OwnLine {
  readonly frameBytes: number
  readonly frameMs: number
  readonly busyMs: number
}

/**
 * Second requests for reads that are later than usual: whichever comes first counts, the other is
 * cancelled. What comes twice is bounded.
 */
export class Hedging {
  #peers: PeerTable
  #choice: PeerChoice
  #hedges = new Map<number, Hedge>()
  #byPeer = new Map<string, UsualTimes>()
  #ofAll = new UsualTimes()
  /** Bytes that have come, and of those that were not needed, or may turn out not to be. */
  #received = 0
  #extra = 0

  constructor(peers: PeerTable, choice: PeerChoice) {
    this.#peers = peers
    this.#choice = choice
  }

  /** Bytes of a second request have come, or of any other. */
  progressed(peer: string, item: number, bytes: number): void {
    this.#received += bytes
    const hedge = this.#of(peer, item)
    if (hedge !== undefined) hedge.received += bytes
  }

  /** Asks somebody else, too, for what is later than usual. */
  look(requests: Iterable<Request>, own: OwnLine, now: number): FetchAction[] {
    const actions: FetchAction[] = []
    const { frameBytes } = own
    for (const request of requests) {
      const { item } = request
      const lateness = this.#latenessOf(request, own, now)
      if (lateness <= 1) continue
      const seedToo = request.state !== 'waiting' && lateness > seedLateness
      const peer = this.#choice.second(item, request.peer, seedToo, now)
      if (peer === undefined) continue
      this.#hedges.set(item, { item, peer, askedAt: now, reservedBytes: frameBytes, received: 0 })
      this.#extra += frameBytes
      this.#peers.asked(peer)
      actions.push({ type: 'request', peer, item, class: 'urgent', insist: true })
    }
    return actions
  }

  /** The item is here by `request` or by the second one. Says what is to be cancelled of that one. */
  settled(request: Request | undefined, item: number, now: number): FetchAction[] {
    const hedge = this.#hedges.get(item)
    const lost = hedge === undefined ? 0 : Math.min(hedge.received, request?.received ?? 0)
    const isFirst = (request?.received ?? 0) >= (hedge?.received ?? 0)
    if (request?.class === 'urgent') {
      this.#took(request.peer, now - Math.max(request.askedAt, request.classedAt))
    }
    if (hedge === undefined) return []
    if (!isFirst) this.#took(hedge.peer, now - hedge.askedAt)
    return this.#end(hedge, lost > 0 ? lost + tailBytes : 0)
  }

  /** Nobody waits for it any more. */
  needless(item: number): FetchAction[] {
    const hedge = this.#hedges.get(item)
    return hedge === undefined ? [] : this.#end(hedge, hedge.received)
  }

  /** The second request brings nothing: its peer has refused it or sent us elsewhere. */
  refused(peer: string, item: number): void {
    const hedge = this.#of(peer, item)
    if (hedge !== undefined) this.#end(hedge, hedge.received)
  }

  lost(peer: string): void {
    this.#byPeer.delete(peer)
    for (const hedge of this.#hedges.values()) {
      if (hedge.peer === peer) this.#end(hedge, hedge.received)
    }
  }

  /** The first request is given up: from now on the second one is the only one. */
  takeOver({ item, redirected }: Request, now: number): Request | undefined {
    const hedge = this.#hedges.get(item)
    if (hedge === undefined) return undefined
    this.#hedges.delete(item)
    this.#extra -= hedge.reservedBytes
    const { peer, askedAt, received } = hedge
    const state = received > 0 ? 'sending' : 'asked'
    const times = { askedAt, movedAt: now, classedAt: askedAt }
    return { item, peer, class: 'urgent', state, redirected, received, ...times }
  }

  /** How long somebody has waited, in times of what is late. */
  #latenessOf(request: Request, { frameBytes, frameMs, busyMs }: OwnLine, now: number): number {
    if (request.class !== 'urgent' || request.state === 'connecting') return 0
    if (this.#hedges.has(request.item) || request.received > frameBytes / 2) return 0
    if (this.#extra + frameBytes > Math.max(bytesMin, share * this.#received)) return 0
    if (request.state === 'waiting') {
      return (now - Math.max(request.askedAt, request.classedAt)) / (chainFrames * frameMs)
    }
    const lateMs = this.#lateMs(request.peer)
    if (lateMs === undefined) return 0
    // While bytes of it come, or much else does, a second copy would only take its place on our own line.
    const since = request.received > 0 ? request.movedAt : request.askedAt
    return (now - Math.max(since, request.classedAt)) / (lateMs + busyMs)
  }

  #lateMs(peer: string): number | undefined {
    const ofAll = this.#ofAll.p95Ms
    if (ofAll === undefined) return undefined
    const own = this.#byPeer.get(peer)?.p95Ms ?? ofAll
    return Math.max(lateMsMin, Math.min(own, ofAll * usualTimes))
  }

  /** Somebody who waited for it got it from the peer so soon, or got it elsewhere before. */
  #took(peer: string, ms: number): void {
    const times = this.#byPeer.get(peer) ?? new UsualTimes()
    this.#byPeer.set(peer, times)
    times.add(ms)
    this.#ofAll.add(ms)
  }

  #of(peer: string, item: number): Hedge | undefined {
    const hedge = this.#hedges.get(item)
    return hedge?.peer === peer ? hedge : undefined
  }

  #end({ item, peer, reservedBytes }: Hedge, extraBytes: number): FetchAction[] {
    this.#hedges.delete(item)
    this.#extra += extraBytes - reservedBytes
    this.#peers.released(peer)
    return [{ type: 'cancel', peer, item }]
  }
}
