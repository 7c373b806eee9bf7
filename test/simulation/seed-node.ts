import type { ChunkId, Holding } from '../../src/base/index.ts'
import { limits } from '../../src/base/index.ts'
import { Introductions } from '../../src/seed/introductions.ts'
import type { Message } from '../../src/swarm/index.ts'
import type { SimLink } from './sim-link.ts'
import { asLink, SimNode, type NodePlace } from './sim-node.ts'
import type { World } from './world.ts'

/** What src/seed/seed.ts does with messages, without its store, its images and its control API. */
export class SeedNode extends SimNode {
  #introductions: Introductions

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
    this.#pingAll()
  }

  /** A new process on the same store: it remembers nothing of what it gave to whom. */
  restart(): void {
    this.renew()
    this.#introductions = new Introductions(this.world.randomOf(`${this.id} again`))
    this.start()
  }

  onPeer(_link: SimLink): void {}

  override onGone(link: SimLink): void {
    super.onGone(link)
    this.#introductions.gone(asLink(link))
  }

  onPiece(): void {}

  onMessage(link: SimLink, message: Message): void {
    switch (message.type) {
      case 'want':
        this.serve(link, message)
        return
      case 'cancel':
        this.uploads.cancel(asLink(link), message.request)
        return
      case 'interest':
        link.send({ type: 'have-all', imageId: message.imageId })
        this.#introductions.introduce(asLink(link), message.imageId, peerId => ({
          peerId,
          addresses: []
        }))
        return
      case 'have':
        for (const item of message.items) this.serving.holds(link.peerId, this.world.idOf(item))
        return
      case 'ping':
        link.send({ type: 'pong', nonce: message.nonce })
    }
  }

  #pingAll(): void {
    if (!this.isUp) return
    for (const link of this.links.values()) link.send({ type: 'ping', nonce: 0 })
    this.world.events.after(limits.pingIntervalMs, () => this.#pingAll())
  }
}
