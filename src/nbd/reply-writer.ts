import type { Socket } from 'node:net'
import { encodeSimpleReply, type ReplyError } from './wire.ts'

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

  send(cookie: bigint, error: ReplyError, payload?: Uint8Array): void {
    if (this.#socket.destroyed) return
    this.#cork()
    this.#socket.write(encodeSimpleReply(error, cookie))
    if (payload !== undefined) this.#socket.write(payload)
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
