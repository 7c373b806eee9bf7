import { limits } from '../../src/base/index.ts'
import type { SimLink } from './sim-link.ts'
import { imageId, type World } from './world.ts'

/** What src/agent/announcements.ts does, in virtual time: the bitfield once, then what is new. */
export class AgentNews {
  #world: World
  #bitfield: () => Uint8Array
  #greeted = new WeakSet<SimLink>()
  #neighbours: News
  #seeds: News
  #read = new Set<number>()

  constructor(world: World, bitfield: () => Uint8Array) {
    this.#world = world
    this.#bitfield = bitfield
    this.#neighbours = new News(world)
    this.#seeds = new News(world)
  }

  greet(link: SimLink): void {
    if (this.#greeted.has(link)) return
    this.#greeted.add(link)
    link.send({ type: 'interest', imageId, itemCount: this.#world.image.itemCount })
    if (link.certificate.role !== 'seed') return
    this.#seeds.listeners.add(link)
    link.send({ type: 'have-map', imageId, first: 0, bits: this.#bitfield() })
  }

  interested(link: SimLink): void {
    this.greet(link)
    this.#neighbours.listeners.add(link)
    link.send({ type: 'have-map', imageId, first: 0, bits: this.#bitfield() })
    if (this.#read.size > 0) link.send({ type: 'read', imageId, items: [...this.#read] })
  }

  has(item: number): void {
    this.#neighbours.add('have', item, limits.haveIntervalMs)
    this.#seeds.add('have', item, limits.haveSeedIntervalMs)
  }

  /** This machine, or one that told it, has read the item; the order is kept. */
  read(item: number): void {
    if (this.#read.has(item)) return
    this.#read.add(item)
    this.#neighbours.add('read', item, limits.readIntervalMs)
  }

  gone(link: SimLink): void {
    this.#neighbours.listeners.delete(link)
    this.#seeds.listeners.delete(link)
  }
}

/** What is new since somebody was told last, and who is to be told. */
class News {
  readonly listeners = new Set<SimLink>()
  #world: World
  #items = { have: [] as number[], read: [] as number[] }
  #tellAt = Infinity

  constructor(world: World) {
    this.#world = world
  }

  /** Told after so long at the latest. */
  add(type: 'have' | 'read', item: number, ms: number): void {
    this.#items[type].push(item)
    const { events } = this.#world
    const tellAt = events.now + ms
    if (tellAt >= this.#tellAt) return
    this.#tellAt = tellAt
    events.at(tellAt, () => {
      if (this.#tellAt === tellAt) this.#flush()
    })
  }

  #flush(): void {
    this.#tellAt = Infinity
    const news = this.#items
    this.#items = { have: [], read: [] }
    for (const type of ['have', 'read'] as const) {
      const items = news[type]
      if (items.length === 0) continue
      for (const link of this.listeners) link.send({ type, imageId, items })
    }
  }
}
