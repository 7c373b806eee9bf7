import { limits } from '../../src/base/index.ts'
import type { SimLink } from './sim-link.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

const retryMsMin = 200
const retryMsMax = 5_000
const roundMs = 1_000

/** What src/agent/membership.ts does: the seeds, and a few of the peers that it was told of. */
export class AgentMembership {
  #world: World
  #self: SimNode
  #known = new Set<string>()
  /** Those that this machine chose, or that chose it. */
  #neighbours = new Set<string>()
  #onNeighbour: (link: SimLink) => void
  #isStopped = false

  constructor(world: World, self: SimNode, onNeighbour: (link: SimLink) => void) {
    this.#world = world
    this.#self = self
    this.#onNeighbour = onNeighbour
  }

  learn(peerId: string): void {
    if (peerId === this.#self.id) return
    this.#known.delete(peerId)
    this.#known.add(peerId)
    if (this.#known.size > limits.peersKnownMax) {
      for (const oldest of this.#known) {
        this.#known.delete(oldest)
        break
      }
    }
  }

  knows(peerId: string): boolean {
    return this.#known.has(peerId) || this.#isSeed(peerId)
  }

  peers(): readonly string[] {
    return [...this.#known]
  }

  isNeighbour(peerId: string): boolean {
    return this.#neighbours.has(peerId)
  }

  chosenBy(peerId: string): void {
    this.#neighbours.add(peerId)
  }

  stop(): void {
    this.#isStopped = true
  }

  run(retryMs = retryMsMin): void {
    if (this.#isStopped) return
    let isOver = false
    const roundIsOver = (): void => {
      if (isOver) return
      isOver = true
      const wait = this.#self.links.size > 0 ? retryMsMin : retryMs
      this.#world.events.after(wait, () => this.run(Math.min(wait * 1.5, retryMsMax)))
    }
    this.#world.events.after(roundMs, roundIsOver)
    const seeds = this.#world.seedIds().filter(peerId => !this.#self.links.has(peerId))
    const peers = this.#neighboursToTry()
    let left = seeds.length + peers.length
    const dialled = (): void => {
      left -= 1
      if (left <= 0) roundIsOver()
    }
    if (left === 0) dialled()
    for (const peerId of seeds) this.#world.connect(this.#self, peerId, dialled)
    for (const peerId of peers) this.#befriend(peerId, dialled)
  }

  #befriend(peerId: string, done: () => void): void {
    this.#neighbours.add(peerId)
    const link = this.#self.links.get(peerId)
    if (link !== undefined) {
      this.#onNeighbour(link)
      done()
      return
    }
    this.#world.connect(this.#self, peerId, made => {
      if (made === undefined) this.#neighbours.delete(peerId)
      done()
    })
  }

  #neighboursToTry(): string[] {
    const { links } = this.#self
    const isConnected = (peerId: string): boolean =>
      this.#neighbours.has(peerId) && links.has(peerId)
    let count = 0
    for (const peerId of this.#neighbours) if (links.has(peerId)) count += 1
    if (count >= limits.neighboursMax) return []
    return [...this.#known]
      .filter(peerId => !isConnected(peerId) && !this.#isSeed(peerId))
      .reverse()
      .slice(0, limits.neighboursMax - count)
  }

  #isSeed(peerId: string): boolean {
    return this.#world.node(peerId)?.role === 'seed'
  }
}
