import { limits } from '../base/index.ts'

/** A handshake is work: the first reads of a machine that starts are not to wait for twelve of them. */
const newNeighboursMax = 3

/**
 * The peers that this machine has heard of, and which of them are its neighbours: those that it chose
 * or that chose it. Neighbours tell each other what they have and read. A link that was made because
 * a redirect named the peer carries requests and no news: with all of them the news of N machines is
 * N² messages.
 */
export class Neighbours<Peer extends { readonly peerId: string }> {
  /** The one heard of last comes last. */
  #known = new Map<string, Peer>()
  #chosen = new Set<string>()

  learn(peer: Peer): void {
    this.#known.delete(peer.peerId)
    this.#known.set(peer.peerId, peer)
    const [oldest] = this.#known.keys()
    if (this.#known.size > limits.peersKnownMax && oldest !== undefined) this.#known.delete(oldest)
  }

  get(peerId: string): Peer | undefined {
    return this.#known.get(peerId)
  }

  all(): Peer[] {
    return [...this.#known.values()]
  }

  has(peerId: string): boolean {
    return this.#chosen.has(peerId)
  }

  choose(peerId: string): void {
    this.#chosen.add(peerId)
  }

  drop(peerId: string): void {
    this.#chosen.delete(peerId)
  }

  /**
   * Whom to choose next, while there are fewer than a machine that has been up for so long should have:
   * those that were heard of last.
   */
  toTry(isLinked: (peerId: string) => boolean, upMs: number): Peer[] {
    let linked = 0
    for (const peerId of this.#chosen) if (isLinked(peerId)) linked += 1
    const { neighboursFirst, neighboursFirstMs, neighboursMax } = limits
    const enough = upMs < neighboursFirstMs ? neighboursFirst : neighboursMax
    const free = Math.min(newNeighboursMax, enough - linked)
    if (free <= 0) return []
    return this.all()
      .filter(({ peerId }) => !this.#chosen.has(peerId) || !isLinked(peerId))
      .reverse()
      .slice(0, free)
  }
}
