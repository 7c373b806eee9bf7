import { limits, shuffled, type ChunkId, type Random } from '../base/index.ts'
import type { Link, PeerAddress } from '../swarm/index.ts'

/** Who works on which image, so that machines of one image can be told of each other. */
export class Introductions {
  #random: Random
  #interested = new Map<ChunkId, Set<Link>>()

  constructor(random: Random) {
    this.#random = random
  }

  /**
   * Tells `link` of some others: half of them near ones, if there are so many, and the rest at random,
   * since random neighbours keep the mesh in one piece.
   */
  introduce(
    link: Link,
    imageId: ChunkId,
    addressOf: (peerId: string) => PeerAddress | undefined
  ): void {
    const others = this.#interested.get(imageId) ?? new Set<Link>()
    this.#interested.set(imageId, others)
    const candidates = shuffled(
      [...others].filter(other => other !== link),
      this.#random
    )
    const near = candidates
      .filter(({ place }) => place === link.place)
      .slice(0, limits.neighboursMax / 2)
    const rest = candidates.filter(other => !near.includes(other))
    // An agent begins with those that it hears of last.
    const chosen = [...rest.slice(0, limits.neighboursMax - near.length), ...near]
    others.add(link)
    const peers = chosen.flatMap(other => addressOf(other.peerId) ?? [])
    if (peers.length > 0) link.send({ type: 'peers', peers })
  }

  /** How many machines work on the image. */
  count(imageId: ChunkId): number {
    return this.#interested.get(imageId)?.size ?? 0
  }

  gone(link: Link): void {
    for (const [imageId, links] of this.#interested) {
      links.delete(link)
      if (links.size === 0) this.#interested.delete(imageId)
    }
  }
}
