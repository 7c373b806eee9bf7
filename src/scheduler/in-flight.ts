/** A frame that did not move for this long is at a machine that is too slow to count. */
const slowMs = 500

interface Sending {
  readonly peer: PeerFrames
  readonly bytes: number
  /** When a byte of it was handed to the connection last. */
  movedAt: number
  isSlow: boolean
}

interface PeerFrames {
  readonly sending: Map<number, Sending>
  slowCount: number
}

/**
 * The frames that are on their way from this node, over all its connections. Hundreds of links ask in
 * every turn of the event loop how much that is, so nothing is added up then: `now` never goes back,
 * and who has not moved for the longest time stands first.
 */
export class InFlight {
  size = 0
  readonly #peers = new Map<string, PeerFrames>()
  /** Those that count. */
  readonly #moving = new Set<Sending>()
  #movingBytes = 0

  has(peer: string, request: number): boolean {
    return this.#find(peer, request) !== undefined
  }

  /** Bytes of the frames that move. */
  bytes(now: number): number {
    this.#age(now)
    return this.#movingBytes
  }

  /** Whether a frame to the peer stands still. */
  isSlow(peer: string, now: number): boolean {
    this.#age(now)
    return (this.#peers.get(peer)?.slowCount ?? 0) > 0
  }

  /** The same frame may begin again, with its real size. */
  began(peer: string, request: number, bytes: number, now: number): void {
    this.ended(peer, request)
    const frames = this.#peers.get(peer) ?? { sending: new Map<number, Sending>(), slowCount: 0 }
    this.#peers.set(peer, frames)
    const sending = { peer: frames, bytes, movedAt: now, isSlow: false }
    frames.sending.set(request, sending)
    this.size += 1
    this.#count(sending)
  }

  moved(peer: string, request: number, now: number): void {
    const sending = this.#find(peer, request)
    if (sending === undefined) return
    this.#discount(sending)
    sending.movedAt = now
    this.#count(sending)
  }

  /** How many bytes it had; undefined if it was not on its way. */
  ended(peer: string, request: number): number | undefined {
    const sending = this.#find(peer, request)
    if (sending === undefined) return undefined
    this.#discount(sending)
    sending.peer.sending.delete(request)
    if (sending.peer.sending.size === 0) this.#peers.delete(peer)
    this.size -= 1
    return sending.bytes
  }

  gone(peer: string): void {
    for (const request of [...(this.#peers.get(peer)?.sending.keys() ?? [])]) {
      this.ended(peer, request)
    }
  }

  #find(peer: string, request: number): Sending | undefined {
    return this.#peers.get(peer)?.sending.get(request)
  }

  #count(sending: Sending): void {
    this.#moving.add(sending)
    this.#movingBytes += sending.bytes
  }

  #discount(sending: Sending): void {
    if (this.#moving.delete(sending)) this.#movingBytes -= sending.bytes
    if (sending.isSlow) sending.peer.slowCount -= 1
    sending.isSlow = false
  }

  #age(now: number): void {
    for (const sending of this.#moving) {
      if (now - sending.movedAt <= slowMs) return
      this.#discount(sending)
      sending.isSlow = true
      sending.peer.slowCount += 1
    }
  }
}
