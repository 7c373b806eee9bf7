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
  /** Who was asked what it has; asked once a link. */
  #greeted = new WeakSet<Link>()
  #neighbours = new News()
  /** A seed sends others to those who have a chunk. */
  #seeds = new News()
  /** Items that some machine has read, in that order. */
  #read = new Set<number>()

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

  greet(link: Link): void {
    if (this.#greeted.has(link)) return
    this.#greeted.add(link)
    link.send({ type: 'interest', imageId: this.#imageId, itemCount: this.#itemCount })
    if (link.certificate?.role !== 'seed') return
    this.#seeds.listeners.add(link)
    // One that was restarted learns by it what it need not send again.
    this.#sendBitfield(link)
  }

  interested(link: Link, message: Extract<Message, { type: 'interest' }>): void {
    if (message.imageId !== this.#imageId || message.itemCount !== this.#itemCount) return
    this.greet(link)
    this.#neighbours.listeners.add(link)
    this.#sendBitfield(link)
    for (const items of parts([...this.#read])) {
      link.send({ type: 'read', imageId: this.#imageId, items })
    }
  }

  /** This machine has read the item, or was told so of another: others will read it too. */
  read(item: number): void {
    if (this.#read.has(item)) return
    this.#read.add(item)
    this.#neighbours.read.push(item)
    this.#neighbours.wait(limits.readIntervalMs, () => this.#flush(this.#neighbours))
  }

  changed(item: number, servable: boolean): void {
    this.#neighbours.changed.set(item, servable)
    this.#neighbours.wait(limits.haveIntervalMs, () => this.#flush(this.#neighbours))
    this.#seeds.changed.set(item, servable)
    this.#seeds.wait(limits.haveSeedIntervalMs, () => this.#flush(this.#seeds))
  }

  gone(link: Link): void {
    this.#neighbours.listeners.delete(link)
    this.#seeds.listeners.delete(link)
  }

  stop(): void {
    this.#neighbours.stop()
    this.#seeds.stop()
  }

  #flush(news: News): void {
    const { read, changed } = news.take()
    const having = (wanted: boolean): number[] =>
      [...changed].flatMap(([item, servable]) => (servable === wanted ? [item] : []))
    const byType = { have: having(true), 'have-not': having(false), read } as const
    const messages = (['have', 'have-not', 'read'] as const).flatMap(type =>
      [...parts(byType[type])].map(items => ({ type, imageId: this.#imageId, items }))
    )
    for (const link of news.listeners) link.sendAll(messages)
  }

  #sendBitfield(link: Link): void {
    const bits = this.#bitfield()
    for (let at = 0; at < bits.length; at += haveMapBytesMax) {
      const part = bits.subarray(at, at + haveMapBytesMax)
      link.send({ type: 'have-map', imageId: this.#imageId, first: at * 8, bits: part })
    }
  }
}

/** What is new since somebody was told last, and who is to be told. */
class News {
  readonly listeners = new Set<Link>()
  readonly changed = new Map<number, boolean>()
  readonly read: number[] = []
  #timer: NodeJS.Timeout | undefined
  #tellAt = Infinity

  /** Tells after so long at the latest; what is told sooner takes along what could have waited. */
  wait(ms: number, tell: () => void): void {
    const tellAt = performance.now() + ms
    if (tellAt >= this.#tellAt) return
    clearTimeout(this.#timer)
    this.#tellAt = tellAt
    this.#timer = setTimeout(tell, ms)
  }

  take(): { changed: Map<number, boolean>; read: number[] } {
    this.#tellAt = Infinity
    const taken = { changed: new Map(this.changed), read: [...this.read] }
    this.changed.clear()
    this.read.length = 0
    return taken
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

function* parts(items: readonly number[]): Generator<number[]> {
  for (let at = 0; at < items.length; at += haveItemsMax) yield items.slice(at, at + haveItemsMax)
}
