/** What work costs, in ms of a core. Measured by the lab bench; these are the simulator's parameters. */
export interface Costs {
  /** Each side of a new connection. */
  readonly handshakeMs: number
  /** Each message, segments too, each side. */
  readonly messageMs: number
  /** Each MB sent or received: encryption and copies. */
  readonly megabyteMs: number
  /** Decompressing, hashing and placing one chunk. */
  readonly verifyMs: number
  /** Reading a chunk from the disk and compressing it again, for a peer that comes late. */
  readonly compressMs: number
}

/** A core: one piece of work after the other. */
export class Processor {
  busyMs = 0
  #freeAt = 0

  /** When work is done that is asked for now. */
  work(now: number, costMs: number): number {
    this.busyMs += costMs
    this.#freeAt = Math.max(this.#freeAt, now) + costMs
    return this.#freeAt
  }
}
