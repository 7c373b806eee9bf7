import { limits } from '../../src/base/index.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

const retryMsMin = 200
const retryMsMax = 5_000

/** What src/agent/membership.ts does: the seeds, and a few of the peers that it was told of. */
export class AgentMembership {
  #world: World
  #self: SimNode
  #known = new Set<string>()

  constructor(world: World, self: SimNode) {
    this.#world = world
    this.#self = self
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
    return this.#known.has(peerId) || this.#world.node(peerId)?.role === 'seed'
  }

  run(retryMs = retryMsMin): void {
    if (!this.#self.isUp) return
    const missing = [...this.#world.seedIds(), ...this.#neighboursToTry()].filter(
      peerId => !this.#self.links.has(peerId)
    )
    let left = missing.length
    const paused = (): void => {
      const wait = this.#self.links.size > 0 ? retryMsMin : retryMs
      const next = Math.min(wait * 1.5, retryMsMax)
      this.#world.events.after(wait, () => this.run(next))
    }
    if (left === 0) paused()
    for (const peerId of missing) {
      this.#world.connect(this.#self, peerId, () => {
        left -= 1
        if (left === 0) paused()
      })
    }
  }

  #neighboursToTry(): string[] {
    const { links } = this.#self
    let neighbours = 0
    for (const link of links.values()) if (link.certificate.role === 'agent') neighbours += 1
    const free = limits.neighboursMax - neighbours
    if (free <= 0) return []
    return [...this.#known]
      .filter(peerId => !links.has(peerId))
      .reverse()
      .slice(0, free)
  }
}
