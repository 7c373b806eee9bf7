import type { Random, RequestClass } from '../base/index.ts'

const levels = { background: 1, prefetch: 2, urgent: 3 } as const
const classes = ['background', 'prefetch', 'urgent'] as const

/**
 * The items still to be had, by class. Background items come in an order that is random and another
 * on every node, so that neighbours soon have something to give each other.
 */
export class WantList {
  /** 0 for an item that is not wanted, else its level. */
  #level: Uint8Array
  readonly #order: Uint32Array
  /** Those of the order that were wanted when it was last looked through. */
  #live = new Uint32Array()
  /** Others are wanted since. */
  #isStale = false
  #count = 0
  #backgroundCount = 0
  #urgent = new Set<number>()
  #prefetch = new Set<number>()

  constructor(itemCount: number, random: Random) {
    this.#level = new Uint8Array(itemCount)
    this.#order = shuffled(itemCount, random)
  }

  set(item: number, requestClass: RequestClass): void {
    if (item >= this.#level.length) return
    if (this.#level[item] === 0) {
      // A new want may lie anywhere in the order; most are made together, before the first search.
      this.#isStale = true
      this.#count += 1
    }
    if (this.#level[item] === levels.background) this.#backgroundCount -= 1
    if (requestClass === 'background') this.#backgroundCount += 1
    this.#level[item] = levels[requestClass]
    move(this.#urgent, item, requestClass === 'urgent')
    move(this.#prefetch, item, requestClass === 'prefetch')
  }

  remove(item: number): void {
    if ((this.#level[item] ?? 0) !== 0) this.#count -= 1
    if (this.#level[item] === levels.background) this.#backgroundCount -= 1
    this.#level[item] = 0
    this.#urgent.delete(item)
    this.#prefetch.delete(item)
  }

  classOf(item: number): RequestClass | undefined {
    const level = this.#level[item] ?? 0
    return level === 0 ? undefined : classes[level - 1]
  }

  get hasBackground(): boolean {
    return this.#backgroundCount > 0
  }

  urgent(): Iterable<number> {
    return this.#urgent
  }

  prefetch(): Iterable<number> {
    return this.#prefetch
  }

  /**
   * Up to `most` background items in the order, after the first `skip` of them; fewer at its end. What
   * is yielded may be set or removed meanwhile.
   */
  *background(most: number, skip = 0): Generator<number> {
    if (!this.hasBackground) return
    this.#refresh()
    let seen = 0
    for (const item of this.#live) {
      if (this.#level[item] !== levels.background) continue
      seen += 1
      if (seen > skip) yield item
      if (seen === skip + most) return
    }
  }

  /** Most of an image may be zero, and more and more of it is here: what is not wanted is walked over once. */
  #refresh(): void {
    if (!this.#isStale && this.#live.length <= 2 * this.#count) return
    const from = this.#isStale ? this.#order : this.#live
    this.#live = from.filter(item => this.#level[item] !== 0)
    this.#isStale = false
  }
}

function move(set: Set<number>, item: number, into: boolean): void {
  if (into) set.add(item)
  else set.delete(item)
}

function shuffled(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(random.next() * (last + 1))
    const swapped = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = swapped
  }
  return order
}
