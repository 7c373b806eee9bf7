import type { Socket } from 'node:net'

/**
 * Writes replies to a client. Those that become ready in one turn of the event loop leave in one
 * system call; payloads are handed to the socket as they are.
 */
export class ReplyWriter {
  readonly #socket: Socket
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** `taken` is called when the kernel has the bytes, or when nobody will ever have them. */
  send(pieces: readonly Uint8Array[], taken?: () => void): void {
    if (this.#socket.destroyed) {
      taken?.()
      return
    }
    this.#cork()
    const last = pieces.length - 1
    for (const [index, piece] of pieces.entries()) {
      if (index === last && taken !== undefined) this.#socket.write(piece, taken)
      else this.#socket.write(piece)
    }
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
