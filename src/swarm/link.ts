import type { Connection, Stream } from '@libp2p/interface'
import { BootswarmError, limits, systemClock } from '../base/index.ts'
import { blocks } from './block-pool.ts'
import { BlockWriter } from './block-writer.ts'
import type { Certificate } from './certificate.ts'
import { MessageReader } from './message-reader.ts'
import { firstWindowBytes, quickStream, type QuickStream } from './quick-yamux.ts'
import { messagesIn, Outbox } from './outbox.ts'
import {
  encodeMessage,
  encodeSegmentHead,
  segmentHeadBytes,
  type Message,
  type WireMessage
} from './wire.ts'
import { yamuxHeadBytes } from './yamux-reader.ts'

/** What is written is copied at once, so one head serves all segments. */
const segmentHead = Buffer.alloc(segmentHeadBytes)

export interface LinkHandlers {
  onMessage(message: Message): void
  /** The link can take more segments. */
  onWritable(): void
  /** Once, for whatever reason; nothing comes after it. */
  onClose(error: Error | undefined): void
}

/** A stream that can hold back the window updates that yamux sends after each frame. */
interface WindowedStream {
  sendPause(): void
  sendResume(): void
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
  /** Where the peer is, the same for all of one rack or subnet (place.ts); set with the certificate. */
  place = ''
  #outbox = new Outbox()
  #isOutboxDue = false
  #heardAt = systemClock.now()
  /** Until then the peer is not listened to. */
  #restsUntil = 0
  #resting: NodeJS.Timeout | undefined
  #stream: Stream
  /** The short way past libp2p's events. */
  #quick: QuickStream | undefined
  #connection: Connection
  #copies: boolean
  #reader = new MessageReader()
  #writable = true
  /** What was said in this turn of the event loop: it goes out at its end, in one frame of yamux. */
  #writer = new BlockWriter(blocks, (bytes, block) => this.#handOn(bytes, block), yamuxHeadBytes)
  /** Received since the peer was last told that it may send more. */
  #unacknowledged = 0
  #windowBytes: number = limits.linkWindowBytes
  #closed = false
  #closing: Error | undefined
  #handlers: LinkHandlers | undefined

  constructor(stream: Stream, connection: Connection) {
    this.#stream = stream
    this.#quick = quickStream(stream)
    this.#connection = connection
    this.peerId = connection.remotePeer.toString()
    // Noise keeps what it cannot send yet as it was given.
    this.#copies = connection.encryption === '/tls/1.0.0'
    this.dialed = connection.direction === 'outbound'
    this.remoteAddress = connection.remoteAddr.toString()
  }

  /** Starts reading. Nothing is lost before it: the stream keeps what arrives until then. */
  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    windowed(this.#stream)?.sendPause()
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
      for (const piece of pieces) this.#receive(piece)
    })
    this.#quick?.takeDirectly(bytes => this.#receive(bytes))
    if (this.#stream.status !== 'open') ended()
  }

  /** When the peer said something last, or would not have been heard, by the system clock. */
  get heardAt(): number {
    return this.#resting === undefined ? this.#heardAt : systemClock.now()
  }

  /** Nothing is read for so long: the peer is slowed down by TCP, and nothing is lost. */
  rest(ms: number): void {
    // All of a window comes at once when it is listened to again.
    this.#windowBytes = firstWindowBytes
    this.#restsUntil = Math.max(this.#restsUntil, systemClock.now() + ms)
    if (this.#resting !== undefined || this.#closed) return
    this.#stream.pause()
    this.#wakeLater()
  }

  /** The peer understands lists; set with the certificate. */
  set takesLists(takesLists: boolean) {
    this.#outbox.takesLists = takesLists
  }

  get writable(): boolean {
    return this.#writable && !this.#closed
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Control messages do not wait for segments; a peer that reads neither is cut off. */
  send(message: Message): void {
    for (const due of this.#outbox.put(message)) this.#writeMessage(due)
    if (this.#outbox.isEmpty || this.#isOutboxDue) return
    this.#isOutboxDue = true
    setImmediate(this.#emptyAtEnd)
  }

  sendAll(messages: readonly Message[]): void {
    for (const message of messages) this.send(message)
  }

  /** Check `writable` first: segments are what may be held back. `bytes` are copied. */
  sendSegment(request: number, bytes: Uint8Array): void {
    // What was said before is not to wait behind it.
    this.#empty()
    this.#write(encodeSegmentHead(request, bytes.length, segmentHead))
    this.#write(bytes)
  }

  close(error?: Error): void {
    if (this.#closed) return
    this.#closing = error
    this.#finish(error)
  }

  readonly #emptyAtEnd = (): void => {
    this.#isOutboxDue = false
    this.#empty()
    this.#writer.flush()
  }

  #empty(): void {
    const rest = this.#outbox.take()
    if (rest !== undefined) this.#writeMessage(rest)
  }

  #writeMessage(message: WireMessage): void {
    this.#write(encodeMessage(message))
  }

  #write(bytes: Uint8Array): void {
    if (!this.#closed) this.#writer.write(bytes)
  }

  #handOn(bytes: Buffer, block: Buffer): void {
    try {
      const end = yamuxHeadBytes + bytes.length
      const canSendMore = this.#quick?.send(block, end)
      if (canSendMore !== undefined) {
        this.#writable = canSendMore
        return
      }
      this.#writable = this.#stream.send(bytes)
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(String(cause)))
      return
    }
    // Below the stream it is copied or encrypted at once; what the stream keeps, it still refers to.
    if (this.#stream.writeBufferLength === 0 && this.#copies) blocks.give(block)
    if (this.#stream.writeBufferLength > limits.unsentBytesMax) {
      this.close(
        new BootswarmError('ERR_PEER_PROTOCOL', `peer ${this.peerId} takes no messages; cut off`)
      )
    }
  }

  #wakeLater(): void {
    this.#resting = setTimeout(
      () => {
        if (this.#closed) return
        if (systemClock.now() < this.#restsUntil) {
          this.#wakeLater()
          return
        }
        this.#resting = undefined
        this.#heardAt = systemClock.now()
        if (this.#stream.readStatus !== 'paused') return
        // What has come in meanwhile is given out in this call, and may be enough to rest again.
        this.#stream.resume()
        // The peer may send more when we say so, and not after each frame, which a rest cannot take.
        windowed(this.#stream)?.sendPause()
      },
      Math.max(0, this.#restsUntil - systemClock.now())
    )
    this.#resting.unref()
  }

  #acknowledge(bytes: number): void {
    this.#unacknowledged += bytes
    if (this.#closed || this.#unacknowledged < limits.windowUpdateBytes) return
    this.#unacknowledged = 0
    if (this.#quick !== undefined) this.#quick.windowBytes = this.#windowBytes
    const stream = windowed(this.#stream)
    stream?.sendResume()
    stream?.sendPause()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#heardAt = systemClock.now()
    try {
      for (const whole of this.#reader.push(bytes)) {
        for (const message of messagesIn(whole)) {
          this.#handlers?.onMessage(message)
          if (this.#closed) return
        }
      }
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(String(cause)))
    }
    this.#acknowledge(bytes.length)
  }

  #finish(error: Error | undefined): void {
    if (this.#closed) return
    this.#empty()
    this.#writer.flush()
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#resting)
    this.#handlers?.onClose(error)
    if (this.#connection.status !== 'open') return
    // The stream's connection has no other use, and closing it tells the peer at once. It is closed
    // once: to close it again while what was sent is still going out would cut that off.
    this.#connection.close({ signal: AbortSignal.timeout(limits.closeMs) }).catch(() => {
      this.#connection.abort(new Error('the link has ended'))
    })
  }
}

function windowed(stream: Stream): WindowedStream | undefined {
  const { sendPause, sendResume } = stream as Partial<WindowedStream>
  return sendPause && sendResume ? (stream as Stream & WindowedStream) : undefined
}
