import type { Connection, Stream } from '@libp2p/interface'
import { BootswarmError, limits, systemClock } from '../base/index.ts'
import type { Certificate } from './certificate.ts'
import { MessageReader } from './message-reader.ts'
import { encodeMessage, encodeSegmentHead, type Message } from './wire.ts'

export interface LinkHandlers {
  onMessage(message: Message): void
  /** The link can take more segments. */
  onWritable(): void
  /** Once, for whatever reason; nothing comes after it. */
  onClose(error: Error | undefined): void
}

/**
 * One long-lived stream to one peer. Messages in both directions share it; a request a stream would
 * cost three to six times as much (research/transport.md).
 */
export class Link {
  readonly peerId: string
  readonly dialed: boolean
  readonly remoteAddress: string
  /** Set once the peer's hello has been checked. */
  certificate: Certificate | undefined
  /** When the peer said something last, by the system clock. */
  heardAt = systemClock.now()
  #stream: Stream
  #connection: Connection
  #reader = new MessageReader()
  #writable = true
  #closed = false
  #closing: Error | undefined
  #handlers: LinkHandlers | undefined

  constructor(stream: Stream, connection: Connection) {
    this.#stream = stream
    this.#connection = connection
    this.peerId = connection.remotePeer.toString()
    this.dialed = connection.direction === 'outbound'
    this.remoteAddress = connection.remoteAddr.toString()
  }

  /** Starts reading. Nothing is lost before it: the stream keeps what arrives until then. */
  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#stream.addEventListener('drain', () => {
      this.#writable = true
      handlers.onWritable()
    })
    const ended = (): void => this.#finish(this.#closing)
    this.#stream.addEventListener('close', ended)
    this.#stream.addEventListener('remoteCloseWrite', ended)
    this.#stream.addEventListener('message', event => {
      // A list of pieces is read piece by piece: joining it first would copy every byte once more.
      const pieces = event.data instanceof Uint8Array ? [event.data] : event.data
      for (const piece of pieces) if (!this.#closed) this.#receive(piece)
    })
    if (this.#stream.status !== 'open') ended()
  }

  get writable(): boolean {
    return this.#writable && !this.#closed
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Control messages do not wait for segments; a peer that reads neither is cut off. */
  send(message: Message): void {
    this.#write(encodeMessage(message))
  }

  /** Several at once cost hardly more than one: each write is encrypted and framed by itself. */
  sendAll(messages: readonly Message[]): void {
    if (messages.length > 0) this.#write(Buffer.concat(messages.map(encodeMessage)))
  }

  /** Check `writable` first: segments are what may be held back. */
  sendSegment(request: number, bytes: Uint8Array): void {
    this.#write(Buffer.concat([encodeSegmentHead(request, bytes.length), bytes]))
  }

  close(error?: Error): void {
    if (this.#closed) return
    this.#closing = error
    this.#finish(error)
  }

  #write(bytes: Uint8Array): void {
    if (this.#closed) return
    try {
      this.#writable = this.#stream.send(bytes)
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(String(cause)))
      return
    }
    if (this.#stream.writeBufferLength > limits.unsentBytesMax) {
      this.close(
        new BootswarmError('ERR_PEER_PROTOCOL', `peer ${this.peerId} takes no messages; cut off`)
      )
    }
  }

  #receive(bytes: Uint8Array): void {
    this.heardAt = systemClock.now()
    try {
      for (const message of this.#reader.push(bytes)) {
        this.#handlers?.onMessage(message)
        if (this.#closed) return
      }
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers?.onClose(error)
    if (this.#connection.status !== 'open') return
    // The stream's connection has no other use, and closing it tells the peer at once. It is closed
    // once: to close it again while what was sent is still going out would cut that off.
    this.#connection.close({ signal: AbortSignal.timeout(limits.closeMs) }).catch(() => {
      this.#connection.abort(new Error('the link has ended'))
    })
  }
}
