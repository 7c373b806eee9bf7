import { requestClasses, type RequestClass } from '../base/index.ts'
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
}

/** A request that does not move, at a peer that says nothing at all, is asked elsewhere after … */
const silentMs = 500
/** … and at a peer that is busy with other things after this long. */
export const stuckMs = 1_500
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

  reclass(request: Request, requestClass: RequestClass): void {
    this.#counts[request.class] -= 1
    this.#counts[requestClass] += 1
    ;(request as { class: RequestClass }).class = requestClass
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

  count(requestClass: RequestClass): number {
    return this.#counts[requestClass]
  }
}

/** `fallbackMs`: how long a request may stand still at a peer that is busy with other things. */
export function isStalled(
  request: Request,
  peer: PeerState | undefined,
  now: number,
  fallbackMs: number
): boolean {
  const still = now - request.movedAt
  if (request.state === 'connecting') return still > connectMs
  if (still > fallbackMs) return true
  const quiet = now - (peer?.heardAt ?? -Infinity)
  return still > silentMs && quiet > silentMs
}

export function isSooner(a: RequestClass, b: RequestClass): boolean {
  return requestClasses.indexOf(a) < requestClasses.indexOf(b)
}
