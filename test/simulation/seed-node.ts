import type { ChunkId, Holding } from '../../src/base/index.ts'
import { limits, shuffled } from '../../src/base/index.ts'
import { Introductions } from '../../src/seed/introductions.ts'
import { Brothers } from '../../src/seed/brothers.ts'
import { tickMs } from '../../src/scheduler/index.ts'
import type { Message } from '../../src/swarm/index.ts'
import type { SimLink } from './sim-link.ts'
import { asLink, SimNode, type NodePlace } from './sim-node.ts'
import { imageId, type World } from './world.ts'

/** What src/seed/seed.ts does with messages, without its store, its images and its control API. */
export class SeedNode extends SimNode {
  #introductions: Introductions
  #brothers = this.#newBrothers()

  constructor(world: World, id: string, place: NodePlace) {
    super(world, id, 'seed', place)
    this.#introductions = new Introductions(world.randomOf(id))
  }

  holding(_id: ChunkId): Holding {
    return 'held'
  }

  holds(_item: number): boolean {
    return true
  }

  start(): void {
    this.state = 'up'
    this.serving.offer(imageId, this.#order())
    this.serving.prefer(
      imageId,
      this.world.profile.map(item => this.world.idOf(item))
    )
    this.#pingAll()
    this.#retry()
  }

  /** A new process on the same store: it remembers nothing of what it gave to whom. */
  restart(): void {
    this.renew()
    this.#introductions = new Introductions(this.world.randomOf(`${this.id} again`))
    this.#brothers = this.#newBrothers()
    this.start()
  }

  override onGone(link: SimLink): void {
    super.onGone(link)
    this.#introductions.gone(asLink(link))
    this.#brothers.gone(asLink(link))
  }

  onPiece(): void {}

  onMessage(link: SimLink, message: Message): void {
    switch (message.type) {
      case 'want':
        this.serve(link, message)
        return
      case 'more':
        this.uploads.more(asLink(link), message)
        return
      case 'got':
        this.uploads.got(asLink(link), message.request)
        return
      case 'cancel':
        this.uploads.cancel(asLink(link), message.request)
        return
      case 'interest':
        this.#tellProfile(link)
        link.send({ type: 'have-all', imageId: message.imageId })
        this.#introductions.introduce(asLink(link), message.imageId, peerId => ({
          peerId,
          addresses: []
        }))
        return
      case 'have':
        for (const item of message.items) this.serving.holds(link.peerId, this.world.idOf(item))
        return
      case 'have-map':
        for (const item of this.world.items) {
          const byte = message.bits[item >> 3] ?? 0
          if ((byte & (0x80 >> (item % 8))) === 0) continue
          this.serving.holds(link.peerId, this.world.idOf(item))
        }
        return
      case 'seeds':
        this.#brothers.told(asLink(link), message.imageId, message.seeds)
        return
      case 'ping':
        link.send({ type: 'pong', nonce: message.nonce })
    }
  }

  /** The machines know it from the start; of the crowd they hear here. */
  #tellProfile(link: SimLink): void {
    if (this.world.profile.length === 0) return
    const machines = this.#introductions.count(imageId)
    link.send({ type: 'profile', imageId, machines, bytes: new Uint8Array(1) })
  }

  #newBrothers(): Brothers {
    return new Brothers((image, seeds) => {
      const others = seeds.filter(peerId => peerId !== this.id)
      this.serving.seeds(image, this.id, others)
    })
  }

  /** Random: what the machines do not read has no better order. */
  #order(): ChunkId[] {
    const random = this.world.randomOf(`${this.id} order`)
    return shuffled(this.world.items, random).map(item => this.world.idOf(item))
  }

  /** A frame that stands still gives up its place after a while. */
  #retry(): void {
    if (!this.isUp) return
    this.uploads.writable()
    this.world.events.after(tickMs, () => this.#retry())
  }

  #pingAll(): void {
    if (!this.isUp) return
    for (const link of this.links.values()) {
      const silentMs = this.world.events.now - link.heardAt
      if (silentMs >= limits.pingIntervalMs) link.send({ type: 'ping', nonce: 0 })
    }
    this.world.events.after(limits.pingIntervalMs, () => this.#pingAll())
  }
}
