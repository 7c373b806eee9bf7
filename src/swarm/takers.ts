import type { ChunkId, Gift, RequestClass } from '../base/index.ts'
import type { Link } from './link.ts'

/** A peer that takes whatever chunk of the image it is given. */
export interface Taker {
  readonly link: Link
  readonly request: number
  readonly class: RequestClass
  readonly imageId: ChunkId
}

/** Looked at in one go: with hundreds of takers, and nothing to give, the search must stay short. */
const lookedAtMax = 16

/** Those who take one more, in the order in which they said so. */
export class Takers {
  #order = new Set<Taker>()
  #byLink = new Map<Link, Map<number, Taker>>()

  count(link: Link): number {
    return this.#byLink.get(link)?.size ?? 0
  }

  add(taker: Taker): void {
    this.#order.add(taker)
    const takers = this.#byLink.get(taker.link) ?? new Map<number, Taker>()
    this.#byLink.set(taker.link, takers.set(taker.request, taker))
  }

  delete(link: Link, request: number): void {
    const takers = this.#byLink.get(link)
    const taker = takers?.get(request)
    if (takers === undefined || taker === undefined) return
    this.#order.delete(taker)
    takers.delete(request)
    if (takers.size === 0) this.#byLink.delete(link)
  }

  gone(link: Link): void {
    for (const taker of this.#byLink.get(link)?.values() ?? []) this.#order.delete(taker)
    this.#byLink.delete(link)
  }

  /**
   * The first of a few that `give` has something for, or nothing any more; it takes no more then. The
   * others go to the end.
   */
  serve(
    give: (taker: Taker) => Gift
  ): { readonly taker: Taker; readonly gift: Exclude<Gift, { kind: 'later' }> } | undefined {
    for (const taker of this.first()) {
      const gift = give(taker)
      if (gift.kind !== 'later') {
        this.delete(taker.link, taker.request)
        return { taker, gift }
      }
      this.passedOver(taker)
    }
    return undefined
  }

  /** The first few; `passedOver` sends one that cannot be given anything to the end. */
  *first(): Generator<Taker> {
    let left = Math.min(lookedAtMax, this.#order.size)
    for (const taker of this.#order) {
      if (left === 0) return
      left -= 1
      yield taker
    }
  }

  passedOver(taker: Taker): void {
    if (!this.#order.delete(taker)) return
    this.#order.add(taker)
  }
}
