import type { ChunkId } from '../base/index.ts'
import type { Link } from '../swarm/index.ts'

/**
 * The other seeds that hold an image. Seeds need not know each other: machines tell each of them which
 * ones they see, so a seed that is dead, or that its machines cannot reach, is given no share.
 */
export class Brothers {
  #told = new Map<ChunkId, Map<Link, readonly string[]>>()
  #changed: (imageId: ChunkId, seeds: readonly string[]) => void

  constructor(changed: (imageId: ChunkId, seeds: readonly string[]) => void) {
    this.#changed = changed
  }

  told(link: Link, imageId: ChunkId, seeds: readonly string[]): void {
    const byLink = this.#told.get(imageId) ?? new Map<Link, readonly string[]>()
    const before = union(byLink)
    this.#told.set(imageId, byLink.set(link, seeds))
    this.#compare(imageId, before, union(byLink))
  }

  gone(link: Link): void {
    for (const [imageId, byLink] of this.#told) {
      const before = union(byLink)
      if (!byLink.delete(link)) continue
      if (byLink.size === 0) this.#told.delete(imageId)
      this.#compare(imageId, before, union(byLink))
    }
  }

  #compare(imageId: ChunkId, before: readonly string[], now: readonly string[]): void {
    if (before.join() !== now.join()) this.#changed(imageId, now)
  }
}

function union(byLink: ReadonlyMap<Link, readonly string[]>): string[] {
  return [...new Set([...byLink.values()].flat())].sort()
}
