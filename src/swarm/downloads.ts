import { BootswarmError, type ChunkId, type Frame, type RequestClass } from '../base/index.ts'
import { Verifier, type IncomingFrame } from '../image/index.ts'
import type { Link } from './link.ts'
import type { Message, PeerAddress, RefusalReason } from './wire.ts'

/** What comes of a request, in the order in which it can happen. */
export interface DownloadHandlers {
  onAccepted(link: Link, id: ChunkId, waiting: boolean): void
  onProgress(link: Link, id: ChunkId, bytes: number): void
  onRefused(link: Link, id: ChunkId, reason: RefusalReason): void
  onRedirected(link: Link, id: ChunkId, to: readonly PeerAddress[]): void
  /**
   * Verified: `plain` hashes to `id`. `frame` is what was received, to be relayed as it is. Both are
   * in memory that is used again once what is returned has settled; it must not reject.
   */
  onArrived(link: Link, id: ChunkId, plain: Uint8Array, frame: Frame): void | Promise<void>
  /** The bytes do not hash to `id`. */
  onCorrupt(link: Link, id: ChunkId, error: BootswarmError): void
}

interface Download {
  readonly link: Link
  readonly id: ChunkId
  readonly plainLengthMax: number
  class: RequestClass
  incoming: IncomingFrame | undefined
  received: number
}

/**
 * The requests that this node has out, and the frames that come in for them. Every byte of a segment
 * was asked for: a request is the peer's credit to send one frame of at most `plainLengthMax` bytes,
 * so memory is bounded by what is requested, whatever a peer sends.
 */
export class Downloads {
  #handlers: DownloadHandlers
  #verifier = new Verifier()
  #next = 1
  #open = new Map<number, Download>()
  /** Cancelled, but the peer may not know yet: request → bytes it may still send. */
  #cancelled = new Map<number, { link: Link; allowance: number }>()

  constructor(handlers: DownloadHandlers) {
    this.#handlers = handlers
  }

  /** Asks `link` for a chunk, or changes the class of what was asked before. */
  request(
    link: Link,
    id: ChunkId,
    requestClass: RequestClass,
    options: { insist: boolean; plainLengthMax: number }
  ): void {
    const known = this.#find(link, id)
    const request = known?.[0] ?? this.#next++
    if (known === undefined) {
      const { plainLengthMax } = options
      this.#open.set(request, {
        link,
        id,
        plainLengthMax,
        class: requestClass,
        incoming: undefined,
        received: 0
      })
    } else {
      known[1].class = requestClass
    }
    link.send({ type: 'want', request, class: requestClass, insist: options.insist, id })
  }

  cancel(link: Link, id: ChunkId): void {
    const found = this.#find(link, id)
    if (found === undefined) return
    const [request, download] = found
    this.#drop(request, download)
    const expected = download.incoming?.frame.bytes.length ?? download.plainLengthMax
    const allowance = expected - download.received
    this.#cancelled.set(request, { link, allowance })
    link.send({ type: 'cancel', request })
  }

  get count(): number {
    return this.#open.size
  }

  async close(): Promise<void> {
    await this.#verifier.close()
  }

  /** Forgets what was asked of a link that is gone. The caller knows what it had asked. */
  gone(link: Link): void {
    for (const [request, download] of this.#open) {
      if (download.link === link) this.#drop(request, download)
    }
    for (const [request, cancelled] of this.#cancelled) {
      if (cancelled.link === link) this.#cancelled.delete(request)
    }
  }

  /** Throws ERR_PEER_PROTOCOL when the peer sends what was not asked for. */
  receive(
    link: Link,
    message: Extract<Message, { type: 'accept' | 'frame' | 'segment' | 'refuse' | 'redirect' }>
  ): void {
    const { request } = message
    const download = this.#open.get(request)
    if (download === undefined || download.link !== link) {
      this.#receiveCancelled(link, message)
      return
    }
    switch (message.type) {
      case 'accept':
        this.#handlers.onAccepted(link, download.id, message.waiting)
        return
      case 'frame':
        this.#begin(download, message)
        return
      case 'segment':
        this.#fill(request, download, message.bytes)
        return
      case 'refuse':
        this.#drop(request, download)
        this.#handlers.onRefused(link, download.id, message.reason)
        return
      case 'redirect':
        this.#drop(request, download)
        this.#handlers.onRedirected(link, download.id, message.to)
        return
    }
  }

  #drop(request: number, { incoming }: Download): void {
    this.#open.delete(request)
    if (incoming !== undefined) this.#verifier.release(incoming)
  }

  #begin(download: Download, message: Extract<Message, { type: 'frame' }>): void {
    const { encoding, frameLength, plainLength } = message
    const fits =
      plainLength > 0 &&
      plainLength <= download.plainLengthMax &&
      frameLength > 0 &&
      (encoding === 'plain' ? frameLength === plainLength : frameLength < plainLength)
    if (!fits || download.incoming !== undefined) {
      throw new BootswarmError(
        'ERR_PEER_PROTOCOL',
        `peer ${download.link.peerId} announced a frame of ${frameLength} bytes (${plainLength} plain) out of turn or beyond what was asked`
      )
    }
    download.incoming = this.#verifier.begin(encoding, frameLength, plainLength)
  }

  #fill(request: number, download: Download, bytes: Uint8Array): void {
    const { incoming, link, id } = download
    const length = incoming?.frame.bytes.length ?? 0
    if (incoming === undefined || download.received + bytes.length > length) {
      throw new BootswarmError(
        'ERR_PEER_PROTOCOL',
        `peer ${link.peerId} sent more bytes of a frame than it announced`
      )
    }
    incoming.frame.bytes.set(bytes, download.received)
    download.received += bytes.length
    this.#handlers.onProgress(link, id, bytes.length)
    if (download.received < length) return
    this.#open.delete(request)
    void this.#verify(link, id, incoming)
  }

  async #verify(link: Link, id: ChunkId, incoming: IncomingFrame): Promise<void> {
    try {
      const plain = await this.#verifier.verify(id, incoming).catch((error: unknown) => {
        this.#handlers.onCorrupt(link, id, asCorrupt(error))
      })
      if (plain !== undefined) await this.#handlers.onArrived(link, id, plain, incoming.frame)
    } finally {
      this.#verifier.release(incoming)
    }
  }

  /**
   * A cancel crosses what the peer had sent already; no more than one frame of that is taken. The
   * request is over with the peer's refusal, or with the frame's last byte if that came first.
   */
  #receiveCancelled(
    link: Link,
    message: { type: string; request: number; frameLength?: number; bytes?: Uint8Array }
  ): void {
    const cancelled = this.#cancelled.get(message.request)
    if (cancelled === undefined || cancelled.link !== link) {
      throw new BootswarmError(
        'ERR_PEER_PROTOCOL',
        `peer ${link.peerId} answered a request that was never made of it`
      )
    }
    cancelled.allowance = Math.min(cancelled.allowance, message.frameLength ?? Infinity)
    cancelled.allowance -= message.bytes?.length ?? 0
    if (cancelled.allowance < 0) {
      throw new BootswarmError('ERR_PEER_PROTOCOL', `peer ${link.peerId} ignores a cancel`)
    }
    const isAnswer = message.type === 'refuse' || message.type === 'redirect'
    if (isAnswer || cancelled.allowance === 0) this.#cancelled.delete(message.request)
  }

  #find(link: Link, id: ChunkId): [number, Download] | undefined {
    for (const entry of this.#open) {
      if (entry[1].link === link && entry[1].id === id) return entry
    }
    return undefined
  }
}

function asCorrupt(error: unknown): BootswarmError {
  if (error instanceof BootswarmError) return error
  return new BootswarmError('ERR_CHUNK_CORRUPT', 'a frame could not be decoded', { cause: error })
}
