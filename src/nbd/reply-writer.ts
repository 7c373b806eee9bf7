import type { Socket } from 'node:net'
import type { BufferPool } from './buffer-pool.ts'

/** Replies of one turn are gathered in pieces of this size. */
const batchBytes = 128 * 1024
/** A larger reply is not copied among others: its payload is handed to the socket as it is. */
const gatheredBytesMax = 64 * 1024 + 64

interface Batch {
  readonly bytes: Buffer
  used: number
  /** What the requests hold whose replies are in it. */
  heldBytes: number
}

/**
 * Writes replies to a client. Small ones that become ready in one turn of the event loop are gathered
 * and leave in one system call; what the kernel has not taken is counted.
 */
export class ReplyWriter {
  readonly #socket: Socket
  readonly #pool: BufferPool
  readonly #onTaken: (heldBytes: number) => void
  #batch: Batch | undefined
  #leavesSoon = false
  #corked = false
  #unsentWrites = 0
  #unsentBytes = 0
  /** When something was last taken, or last began to wait for that; undefined if nothing waits. */
  #waitingSince: number | undefined

  /** `onTaken` hears of what replies held when the kernel has them, or when nobody will ever have them. */
  constructor(socket: Socket, pool: BufferPool, onTaken: (heldBytes: number) => void) {
    this.#socket = socket
    this.#pool = pool
    this.#onTaken = onTaken
  }

  /** Memory of what was written and not taken. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  /** For how long the client has taken nothing of what waits for it, in ms. */
  stuckMs(now: number): number {
    return this.#waitingSince === undefined ? 0 : now - this.#waitingSince
  }

  /** Room for a reply among those that leave next, undefined where it is too large; `fill` makes it one. */
  place(bytes: number): Buffer | undefined {
    const batch = this.#batchFor(bytes)
    return batch?.bytes.subarray(batch.used, batch.used + bytes)
  }

  /** The first `bytes` of the place that was given last are a reply now; `flush` sends it. */
  fill(bytes: number, heldBytes: number): void {
    if (this.#batch === undefined) return
    this.#batch.used += bytes
    this.#batch.heldBytes += heldBytes
  }

  /** Adds a small reply to those that leave next; `flush` sends it. */
  add(reply: Uint8Array): void {
    const batch = this.#batchFor(reply.length)
    batch?.bytes.set(reply, batch.used)
    this.fill(reply.length, 0)
  }

  /**
   * Sends a reply at the end of the turn. A payload that is handed to the socket as it is must not
   * change until `taken`, which is called with `onTaken`.
   */
  send(pieces: readonly Uint8Array[], heldBytes = 0, taken?: () => void): void {
    let length = 0
    for (const piece of pieces) length += piece.length
    const batch = taken === undefined ? this.#batchFor(length) : undefined
    if (batch === undefined) {
      // What was ready before it leaves before it.
      this.flush()
      this.#write(pieces, Math.max(length, heldBytes), () => {
        taken?.()
        this.#onTaken(heldBytes)
      })
      return
    }
    for (const piece of pieces) {
      batch.bytes.set(piece, batch.used)
      batch.used += piece.length
    }
    batch.heldBytes += heldBytes
    this.#leaveSoon()
  }

  /** Sends what was gathered. */
  flush(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    if (batch.used === 0) {
      this.#pool.giveBack(batch.bytes)
      return
    }
    this.#write([batch.bytes.subarray(0, batch.used)], batchBytes, () => {
      this.#pool.giveBack(batch.bytes)
      this.#onTaken(batch.heldBytes)
    })
  }

  #batchFor(bytes: number): Batch | undefined {
    if (bytes > gatheredBytesMax) return undefined
    if (this.#batch !== undefined && this.#batch.used + bytes > batchBytes) this.flush()
    return (this.#batch ??= { bytes: this.#pool.take(batchBytes), used: 0, heldBytes: 0 })
  }

  #write(pieces: readonly Uint8Array[], bytes: number, taken: () => void): void {
    const socket = this.#socket
    if (socket.destroyed) {
      process.nextTick(taken)
      return
    }
    this.#unsentWrites++
    this.#unsentBytes += bytes
    this.#waitingSince ??= performance.now()
    if (pieces.length > 1) this.#cork()
    const last = pieces.length - 1
    const done = (): void => {
      this.#unsentBytes -= bytes
      this.#waitingSince = --this.#unsentWrites === 0 ? undefined : performance.now()
      taken()
    }
    for (const [index, piece] of pieces.entries()) {
      if (index === last) socket.write(piece, done)
      else socket.write(piece)
    }
  }

  #leaveSoon(): void {
    if (this.#leavesSoon) return
    this.#leavesSoon = true
    setImmediate(() => {
      this.#leavesSoon = false
      this.flush()
    })
  }

  #cork(): void {
    if (this.#corked) return
    this.#corked = true
    this.#socket.cork()
    setImmediate(() => {
      this.#corked = false
      this.#socket.uncork()
    })
  }
}
