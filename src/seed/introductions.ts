import { limits, shuffled, type ChunkId, type Random } from '../base/index.ts'
import type { Link, PeerAddress } from '../swarm/index.ts'

/** Who works on which image, so that machines of one image can be told of each other. */
export class Introductions {
  #random: Random
  #interested = new Map<ChunkId, Set<Link>>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Tells `link` of some others at random: random neighbours keep the mesh in one piece. */
  introduce(
    link: Link,
    imageId: ChunkId,
    addressOf: (peerId: string) => PeerAddress | undefined
  ): void {
    const others = this.#interested.get(imageId) ?? new Set<Link>()
    this.#interested.set(imageId, others)
    const chosen = shuffled(
      [...others].filter(other => other !== link),
      this.#random
    ).slice(0, limits.neighboursMax)
    others.add(link)
    const peers = chosen.flatMap(other => addressOf(other.peerId) ?? [])
    if (peers.length > 0) link.send({ type: 'peers', peers })
  }

  gone(link: Link): void {
    for (const [imageId, links] of this.#interested) {
      links.delete(link)
      if (links.size === 0) this.#interested.delete(imageId)
    }
  }
}
