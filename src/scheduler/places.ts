/** In which rack each peer is: a label or a subnet; peers of which nothing is known are in one. */
export class Places {
  readonly own: string
  #ofPeers = new Map<string, string>()

  constructor(own = '') {
    this.own = own
  }

  set(peer: string, place: string): void {
    this.#ofPeers.set(peer, place)
  }

  delete(peer: string): void {
    this.#ofPeers.delete(peer)
  }

  of(peer: string): string {
    return this.#ofPeers.get(peer) ?? ''
  }

  areNear(peer: string, other: string): boolean {
    return this.of(peer) === this.of(other)
  }

  /** In another rack than this node. */
  isFar(peer: string): boolean {
    return this.of(peer) !== this.own
  }
}
