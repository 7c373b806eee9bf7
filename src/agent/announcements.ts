import { limits, systemTimers, type ChunkId, type Timers } from '../base/index.ts'
import { haveMapBytesMax, type Link, type Message } from '../swarm/index.ts'
import { messagesOf, News } from './news.ts'

const forNeighbours = { patientMs: limits.haveIntervalMsMax, enough: limits.haveItemsEnough }
const forSeeds = { patientMs: limits.haveSeedIntervalMs }

export interface AnnouncementsInit {
  readonly imageId: ChunkId
  readonly itemCount: number
  /** The system's when left out. */
  readonly timers?: Timers
  /** Which items can be served now, one bit each, item 0 in bit 7 of byte 0. */
  bitfield(): Uint8Array
}

/**
 * Tells the peers that work on the same image what this node can serve: everything once, in a
 * bitfield, and from then on what is new.
 */
export class Announcements {
  #init: AnnouncementsInit
  /** Who was asked what it has; asked once a link. */
  #greeted = new WeakSet<Link>()
  #neighbours: News
  /** A seed sends others to those who have a chunk. */
  #seeds: News
  /** Items that some machine has read, in that order. */
  #read = new Set<number>()

  constructor(init: AnnouncementsInit) {
    const { imageId, timers = systemTimers } = init
    this.#init = init
    this.#neighbours = new News(imageId, timers)
    this.#seeds = new News(imageId, timers)
  }

  greet(link: Link): void {
    if (this.#greeted.has(link)) return
    this.#greeted.add(link)
    const { imageId, itemCount } = this.#init
    link.send({ type: 'interest', imageId, itemCount })
    if (link.certificate?.role !== 'seed') return
    this.#seeds.listeners.add(link)
    // One that was restarted learns by it what it need not send again.
    if (this.#init.bitfield().some(bits => bits !== 0)) this.#sendBitfield(link)
  }

  interested(link: Link, message: Extract<Message, { type: 'interest' }>): void {
    const { imageId, itemCount } = this.#init
    if (message.imageId !== imageId || message.itemCount !== itemCount) return
    this.greet(link)
    this.#neighbours.listeners.add(link)
    this.#sendBitfield(link)
    link.sendAll(messagesOf('read', imageId, [...this.#read]))
  }

  /** This machine has read the item, or was told so of another: others will read it too. */
  read(item: number): void {
    if (this.#read.has(item)) return
    this.#read.add(item)
    this.#neighbours.read(item)
  }

  changed(item: number, servable: boolean): void {
    this.#neighbours.changed(item, servable, forNeighbours)
    this.#seeds.changed(item, servable, forSeeds)
  }

  gone(link: Link): void {
    this.#neighbours.listeners.delete(link)
    this.#seeds.listeners.delete(link)
  }

  stop(): void {
    this.#neighbours.stop()
    this.#seeds.stop()
  }

  #sendBitfield(link: Link): void {
    const { imageId } = this.#init
    const bits = this.#init.bitfield()
    for (let at = 0; at < bits.length; at += haveMapBytesMax) {
      const part = bits.subarray(at, at + haveMapBytesMax)
      link.send({ type: 'have-map', imageId, first: at * 8, bits: part })
    }
  }
}
