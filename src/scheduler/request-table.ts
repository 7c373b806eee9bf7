import type { RequestClass } from '../base/index.ts'
import type { PeerState } from './peer-table.ts'

export interface Request {
  readonly item: number
  readonly peer: string
  /** Changed by the table alone, which counts by class. */
  readonly class: RequestClass
  /** `connecting` until the peer can be asked at all. */
  state: 'connecting' | 'asked' | 'waiting' | 'sending'
  readonly redirected: boolean
  readonly askedAt: number
  movedAt: number
  /** Bytes of it that have come. */
  received: number
  /** When the first of them came, and how many. */
  began?: { readonly at: number; readonly bytes: number }
  /** Since when it is of its class. */
  readonly classedAt: number
}

/** A request that does not move, at a peer that says nothing at all, is asked elsewhere after … */
const silentMs = 500
/** … and at a peer that is busy with other things after this long. */
export const stuckMs = 1_500
/**
 * What a profile names, all machines ask for at once: on a slow line both are times of frames. A seed whose
 * line brings a frame in 84 ms speaks to each of sixteen machines once in 1.3 s, and has two dozen frames
 * to send first. What nobody waits for has longer still, as long as no other machine has it: who gives up
 * breaks the others' chains. A straggler at 1 Mbit/s in a chain cost those behind it 18 s of a boot.
 */
const silentFrames = { urgent: 48, spare: 192 }
const stuckFrames = { urgent: 192, spare: 768 }
const connectMs = 2_000

/** The requests that are out: at most one an item. */
export class RequestTable {
  #byItem = new Map<number, Request>()
  #counts = { urgent: 0, prefetch: 0, background: 0 }

  get size(): number {
    return this.#byItem.size
  }

  add(request: Request): void {
    this.delete(request.item)
    this.#byItem.set(request.item, request)
    this.#counts[request.class] += 1
  }

  delete(item: number): void {
    const request = this.#byItem.get(item)
    if (request === undefined) return
    this.#byItem.delete(item)
    this.#counts[request.class] -= 1
  }

  reclass(request: Request, requestClass: RequestClass, now: number): void {
    this.#counts[request.class] -= 1
    this.#counts[requestClass] += 1
    Object.assign(request, { class: requestClass, classedAt: now })
  }

  get(item: number): Request | undefined {
    return this.#byItem.get(item)
  }

  has(item: number): boolean {
    return this.#byItem.has(item)
  }

  all(): Request[] {
    return [...this.#byItem.values()]
  }

  /** Of what nobody waits for: how many are being sent or should be soon, and what has come of them. */
  inFlight(): { readonly count: number; readonly received: number } {
    let count = 0
    let received = 0
    for (const request of this.#byItem.values()) {
      if (request.class === 'urgent' || !isCalledFor(request)) continue
      count += 1
      received += request.received
    }
    return { count, received }
  }

  count(requestClass: RequestClass): number {
    return this.#counts[requestClass]
  }
}

/** In a chain it may be long until the first byte comes. */
function isCalledFor({ state }: Request): boolean {
  return state === 'asked' || state === 'sending'
}

/**
 * Whether a request stands still for too long: `late` when somebody waits for it for more than
 * `lateMs`, `stuck` when nothing is to be hoped for. What nobody waits for often stands still
 * only because others wait, and in a chain it is others that move: those have longer.
 */
export function stallOf(
  request: Request,
  peer: PeerState | undefined,
  now: number,
  patience: Patience
): 'late' | 'stuck' | undefined {
  const isUrgent = request.class === 'urgent'
  // What all foresee is slow for all; nobody was in a hurry before somebody waited for it.
  const isHastened = isUrgent && patience.frameMs > 0
  const still = now - (isHastened ? Math.max(request.movedAt, request.classedAt) : request.movedAt)
  if (request.state === 'connecting') return still > connectMs ? 'stuck' : undefined
  const quiet = now - (peer?.heardAt ?? -Infinity)
  const { lateMs, drainMs, frameMs, isElsewhere } = patience
  const frames = isUrgent || isElsewhere ? 'urgent' : 'spare'
  const isSilent =
    Math.min(still, quiet) > drainMs + Math.max(silentMs, silentFrames[frames] * frameMs)
  const isStuck = still > drainMs + Math.max(stuckMs, stuckFrames[frames] * frameMs)
  if (isSilent || isStuck) return 'stuck'
  const mayBeLate = isUrgent && request.state !== 'waiting'
  const waited = now - Math.max(request.movedAt, request.classedAt)
  return mayBeLate && waited > lateMs ? 'late' : undefined
}

export interface Patience {
  /** How long what somebody waits for may stand still. */
  readonly lateMs: number
  /** How long our line takes for one frame, for what a profile names; else 0. */
  readonly frameMs: number
  /** Another machine has it: then it is not the length of the chain that we wait for. */
  readonly isElsewhere: boolean
  /** How long our own line is busy with what is on its way: so long even a lively peer is not heard. */
  readonly drainMs: number
}
