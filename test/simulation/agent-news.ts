import { limits } from '../../src/base/index.ts'
import type { SimLink } from './sim-link.ts'
import { imageId, type World } from './world.ts'

/** What src/agent/announcements.ts does, in virtual time: the bitfield once, then what is new. */
export class AgentNews {
  #world: World
  #bitfield: () => Uint8Array
  #listeners = new Set<SimLink>()
  #news: number[] = []
  #read = new Set<number>()
  #reads: number[] = []

  constructor(world: World, bitfield: () => Uint8Array) {
    this.#world = world
    this.#bitfield = bitfield
  }

  greet(link: SimLink): void {
    link.send({ type: 'interest', imageId, itemCount: this.#world.image.itemCount })
    if (link.certificate.role !== 'seed') return
    this.#listeners.add(link)
    link.send({ type: 'have-map', imageId, first: 0, bits: this.#bitfield() })
  }

  interested(link: SimLink): void {
    this.#listeners.add(link)
    link.send({ type: 'have-map', imageId, first: 0, bits: this.#bitfield() })
    if (this.#read.size > 0) link.send({ type: 'read', imageId, items: [...this.#read] })
  }

  has(item: number): void {
    this.#news.push(item)
    if (this.#news.length > 1) return
    this.#world.events.after(limits.haveIntervalMs, () => {
      const items = this.#news
      this.#news = []
      for (const link of this.#listeners) link.send({ type: 'have', imageId, items })
    })
  }

  /** This machine, or one that told it, has read the item; the order is kept. */
  read(item: number): void {
    if (this.#read.has(item)) return
    this.#read.add(item)
    this.#reads.push(item)
    if (this.#reads.length > 1) return
    this.#world.events.after(limits.haveIntervalMs, () => {
      const items = this.#reads
      this.#reads = []
      for (const link of this.#listeners) {
        if (link.certificate.role === 'agent') link.send({ type: 'read', imageId, items })
      }
    })
  }

  gone(link: SimLink): void {
    this.#listeners.delete(link)
  }
}
