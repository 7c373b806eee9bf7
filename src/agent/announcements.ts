import { limits, type ChunkId } from '../base/index.ts'
import { haveItemsMax, haveMapBytesMax, type Link, type Message } from '../swarm/index.ts'

/**
 * Tells the peers that work on the same image what this node can serve: everything once, in a
 * bitfield, and from then on what is new, collected for a moment so that a stream of chunks does not
 * become a stream of messages.
 */
export class Announcements {
  #imageId: ChunkId
  #itemCount: number
  #bitfield: () => Uint8Array
  #listeners = new Set<Link>()
  #news = new Map<number, boolean>()
  /** Items that some machine has read, in that order, and those not passed on yet. */
  #read = new Set<number>()
  #newlyRead: number[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(init: {
    readonly imageId: ChunkId
    readonly itemCount: number
    /** Which items can be served now, one bit each, item 0 in bit 7 of byte 0. */
    bitfield(): Uint8Array
  }) {
    this.#imageId = init.imageId
    this.#itemCount = init.itemCount
    this.#bitfield = () => init.bitfield()
  }

  /** A seed wants the news too: it sends others to those who have a chunk. */
  greet(link: Link): void {
    link.send({ type: 'interest', imageId: this.#imageId, itemCount: this.#itemCount })
    if (link.certificate?.role !== 'seed') return
    this.#listeners.add(link)
    // One that was restarted learns by it what it need not send again.
    this.#sendBitfield(link)
  }

  interested(link: Link, message: Extract<Message, { type: 'interest' }>): void {
    if (message.imageId !== this.#imageId || message.itemCount !== this.#itemCount) return
    this.#listeners.add(link)
    this.#sendBitfield(link)
    this.#tellRead(link, [...this.#read])
  }

  /** This machine has read the item, or was told so of another: others will read it too. */
  read(item: number): void {
    if (this.#read.has(item)) return
    this.#read.add(item)
    this.#newlyRead.push(item)
    this.#timer ??= setTimeout(() => this.#flush(), limits.haveIntervalMs)
  }

  #sendBitfield(link: Link): void {
    const bits = this.#bitfield()
    for (let at = 0; at < bits.length; at += haveMapBytesMax) {
      const part = bits.subarray(at, at + haveMapBytesMax)
      link.send({ type: 'have-map', imageId: this.#imageId, first: at * 8, bits: part })
    }
  }

  changed(item: number, servable: boolean): void {
    this.#news.set(item, servable)
    this.#timer ??= setTimeout(() => this.#flush(), limits.haveIntervalMs)
  }

  gone(link: Link): void {
    this.#listeners.delete(link)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #flush(): void {
    this.#timer = undefined
    this.#tell('have', true)
    this.#tell('have-not', false)
    this.#news.clear()
    for (const link of this.#listeners) this.#tellRead(link, this.#newlyRead)
    this.#newlyRead = []
  }

  #tellRead(link: Link, items: readonly number[]): void {
    if (link.certificate?.role === 'seed') return
    for (let at = 0; at < items.length; at += haveItemsMax) {
      const part = items.slice(at, at + haveItemsMax)
      link.send({ type: 'read', imageId: this.#imageId, items: part })
    }
  }

  #tell(type: 'have' | 'have-not', servable: boolean): void {
    const items = [...this.#news].flatMap(([item, now]) => (now === servable ? [item] : []))
    for (let at = 0; at < items.length; at += haveItemsMax) {
      const part = items.slice(at, at + haveItemsMax)
      for (const link of this.#listeners) {
        link.send({ type, imageId: this.#imageId, items: part })
      }
    }
  }
}
