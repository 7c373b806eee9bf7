import { Neighbours } from '../../src/agent/neighbours.ts'
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
  #neighbours = new Neighbours<{ readonly peerId: string }>()
  #onNeighbour: (link: SimLink) => void
  #isStopped = false
  #startedAt: number | undefined

  constructor(world: World, self: SimNode, onNeighbour: (link: SimLink) => void) {
    this.#world = world
    this.#self = self
    this.#onNeighbour = onNeighbour
  }

  learn(peerId: string): void {
    if (peerId !== this.#self.id && !this.#isSeed(peerId)) this.#neighbours.learn({ peerId })
  }

  knows(peerId: string): boolean {
    return this.#neighbours.get(peerId) !== undefined || this.#isSeed(peerId)
  }

  peers(): readonly string[] {
    return this.#neighbours.all().map(({ peerId }) => peerId)
  }

  isNeighbour(peerId: string): boolean {
    return this.#neighbours.has(peerId)
  }

  chosenBy(peerId: string): void {
    this.#neighbours.choose(peerId)
  }

  stop(): void {
    this.#isStopped = true
  }

  run(retryMs = retryMsMin): void {
    if (this.#isStopped) return
    const { now } = this.#world.events
    this.#startedAt ??= now
    let isOver = false
    const roundIsOver = (): void => {
      if (isOver) return
      isOver = true
      const wait = this.#self.links.size > 0 ? retryMsMin : retryMs
      this.#world.events.after(wait, () => this.run(Math.min(wait * 1.5, retryMsMax)))
    }
    this.#world.events.after(roundMs, roundIsOver)
    const isLinked = (peerId: string): boolean => this.#self.links.has(peerId)
    const seeds = this.#world.seedIds().filter(peerId => !isLinked(peerId))
    const peers = this.#neighbours.toTry(isLinked, now - this.#startedAt)
    let left = seeds.length + peers.length
    const dialled = (): void => {
      left -= 1
      if (left <= 0) roundIsOver()
    }
    if (left === 0) dialled()
    for (const peerId of seeds) this.#world.connect(this.#self, peerId, dialled)
    for (const { peerId } of peers) this.#befriend(peerId, dialled)
  }

  #befriend(peerId: string, done: () => void): void {
    this.#neighbours.choose(peerId)
    const link = this.#self.links.get(peerId)
    if (link !== undefined) {
      this.#onNeighbour(link)
      done()
      return
    }
    this.#world.connect(this.#self, peerId, made => {
      if (made === undefined) this.#neighbours.drop(peerId)
      done()
    })
  }

  #isSeed(peerId: string): boolean {
    return this.#world.node(peerId)?.role === 'seed'
  }
}
