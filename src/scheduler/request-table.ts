import { requestClasses, type RequestClass } from '../base/index.ts'
import type { PeerState } from './peer-table.ts'

export interface Request {
  readonly item: number
  readonly peer: string
  class: RequestClass
  /** `connecting` until the peer can be asked at all. */
  state: 'connecting' | 'asked' | 'waiting' | 'sending'
  readonly redirected: boolean
  readonly askedAt: number
  movedAt: number
}

/** A request that does not move, at a peer that says nothing at all, is asked elsewhere after … */
const silentMs = 500
/** … and at a peer that is busy with other things after this long. */
const stuckMs = 1_500
const connectMs = 2_000

/** The requests that are out: at most one an item. */
export class RequestTable {
  #byItem = new Map<number, Request>()

  get size(): number {
    return this.#byItem.size
  }

  add(request: Request): void {
    this.#byItem.set(request.item, request)
  }

  delete(item: number): void {
    this.#byItem.delete(item)
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
    let count = 0
    for (const request of this.#byItem.values()) if (request.class === requestClass) count += 1
    return count
  }
}

export function isStalled(request: Request, peer: PeerState | undefined, now: number): boolean {
  const still = now - request.movedAt
  if (request.state === 'connecting') return still > connectMs
  const quiet = now - (peer?.heardAt ?? -Infinity)
  return still > stuckMs || (still > silentMs && quiet > silentMs)
}

export function isSooner(a: RequestClass, b: RequestClass): boolean {
  return requestClasses.indexOf(a) < requestClasses.indexOf(b)
}
