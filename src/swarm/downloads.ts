import {
  BootswarmError,
  copyToShared,
  systemClock,
  type ChunkId,
  type Frame,
  type RequestClass
} from '../base/index.ts'
import { Verifier, type IncomingFrame } from '../image/index.ts'
import type { Link } from './link.ts'
import { rateLimit, type RateLimit } from './rate-limit.ts'
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
  /** A peer that was to pick a chunk has picked this one; it can be cancelled like any other. */
  onGiven?(link: Link, id: ChunkId): void
  /** A peer that was to pick a chunk has none for us. */
  onNoMore?(link: Link): void
  /** The bytes do not hash to `id`. */
  onCorrupt(link: Link, id: ChunkId, error: BootswarmError): void
}

interface Download {
  readonly link: Link
  /** Undefined until the peer has picked it. */
  id: ChunkId | undefined
  readonly plainLengthMax: number
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
  /** Link → chunk → the request that asks for it there. */
  #byChunk = new Map<Link, Map<ChunkId, number>>()
  /** Cancelled, but the peer may not know yet: request → bytes it may still send. */
  #cancelled = new Map<number, { link: Link; allowance: number }>()

  /** Chunks that have come and are being checked or kept: they are not asked for once more. */
  #atHand = new Map<ChunkId, Link>()
  #rate: RateLimit | undefined

  /** With `bytesPerSecond`, links are not read from while more than that has come in. */
  constructor(handlers: DownloadHandlers, bytesPerSecond?: number) {
    this.#handlers = handlers
    this.#rate = rateLimit(bytesPerSecond)
  }

  /** Frames will come: what checks them begins now, and not with the first. */
  start(): void {
    this.#verifier.start()
  }

  /** Asks `link` for a chunk, or changes the class of what was asked before. */
  request(
    link: Link,
    id: ChunkId,
    requestClass: RequestClass,
    options: { insist: boolean; plainLengthMax: number }
  ): void {
    // Somebody has come to wait for it meanwhile: it is as near as it can be.
    if (this.#atHand.get(id) === link) return
    const known = this.#find(link, id)
    const request = known?.[0] ?? this.#next++
    if (known === undefined) {
      const { plainLengthMax } = options
      this.#open.set(request, { link, id, plainLengthMax, incoming: undefined, received: 0 })
      this.#index(link, id, request)
    }
    link.send({ type: 'want', request, class: requestClass, insist: options.insist, id })
  }

  /** Asks `link` for whatever chunk of the image it picks. */
  more(
    link: Link,
    about: { readonly imageId: ChunkId; readonly class: RequestClass },
    plainLengthMax: number
  ): void {
    const request = this.#next++
    this.#open.set(request, {
      link,
      id: undefined,
      plainLengthMax,
      incoming: undefined,
      received: 0
    })
    link.send({ type: 'more', request, ...about })
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
    message: Extract<
      Message,
      { type: 'accept' | 'give' | 'frame' | 'segment' | 'refuse' | 'redirect' }
    >
  ): void {
    const { request } = message
    if (message.type === 'segment') this.#slowDown(link, message.bytes.length)
    const download = this.#open.get(request)
    if (download === undefined || download.link !== link) {
      this.#receiveCancelled(link, message)
      return
    }
    const { id } = download
    if (id === undefined) {
      this.#receivePick(request, download, message)
      return
    }
    switch (message.type) {
      case 'accept':
        this.#handlers.onAccepted(link, id, message.waiting)
        return
      case 'frame':
        this.#begin(download, message)
        return
      case 'segment':
        this.#fill(request, download, id, message.bytes)
        return
      case 'give':
        throw new BootswarmError(
          'ERR_PEER_PROTOCOL',
          `peer ${link.peerId} gave what was not its to pick`
        )
      case 'refuse':
        this.#drop(request, download)
        this.#handlers.onRefused(link, id, message.reason)
        return
      case 'redirect':
        this.#drop(request, download)
        this.#handlers.onRedirected(link, id, message.to)
        return
    }
  }

  #slowDown(link: Link, bytes: number): void {
    if (this.#rate === undefined) return
    const now = systemClock.now()
    this.#rate.passed(bytes, now)
    const waitMs = this.#rate.waitMs(now)
    if (waitMs > 0) link.rest(waitMs)
  }

  /** Nothing can come of such a request before the peer has picked. */
  #receivePick(request: number, download: Download, message: { type: string; id?: ChunkId }): void {
    const { link } = download
    if (message.type === 'give' && message.id !== undefined) {
      download.id = message.id
      this.#index(link, message.id, request)
      this.#handlers.onGiven?.(link, message.id)
      return
    }
    if (message.type !== 'refuse') {
      throw new BootswarmError('ERR_PEER_PROTOCOL', `peer ${link.peerId} answered before it picked`)
    }
    this.#drop(request, download)
    this.#handlers.onNoMore?.(link)
  }

  #index(link: Link, id: ChunkId, request: number): void {
    const requests = this.#byChunk.get(link) ?? new Map<ChunkId, number>()
    this.#byChunk.set(link, requests.set(id, request))
  }

  #close(request: number, { link, id }: Download): void {
    this.#open.delete(request)
    const requests = this.#byChunk.get(link)
    if (id === undefined || requests?.get(id) !== request) return
    requests.delete(id)
    if (requests.size === 0) this.#byChunk.delete(link)
  }

  #drop(request: number, download: Download): void {
    this.#close(request, download)
    const { incoming } = download
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

  #fill(request: number, download: Download, id: ChunkId, bytes: Uint8Array): void {
    const { incoming, link } = download
    const length = incoming?.frame.bytes.length ?? 0
    if (incoming === undefined || download.received + bytes.length > length) {
      throw new BootswarmError(
        'ERR_PEER_PROTOCOL',
        `peer ${link.peerId} sent more bytes of a frame than it announced`
      )
    }
    copyToShared(incoming.frame.bytes, bytes, download.received)
    download.received += bytes.length
    this.#handlers.onProgress(link, id, bytes.length)
    if (download.received < length) return
    this.#close(request, download)
    link.send({ type: 'got', request })
    void this.#verify(link, id, incoming)
  }

  async #verify(link: Link, id: ChunkId, incoming: IncomingFrame): Promise<void> {
    this.#atHand.set(id, link)
    try {
      const plain = await this.#verifier.verify(id, incoming).catch((error: unknown) => {
        this.#atHand.delete(id)
        this.#handlers.onCorrupt(link, id, asCorrupt(error))
      })
      if (plain !== undefined) await this.#handlers.onArrived(link, id, plain, incoming.frame)
    } finally {
      this.#atHand.delete(id)
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
    const request = this.#byChunk.get(link)?.get(id)
    const download = request === undefined ? undefined : this.#open.get(request)
    return request === undefined || download === undefined ? undefined : [request, download]
  }
}

function asCorrupt(error: unknown): BootswarmError {
  if (error instanceof BootswarmError) return error
  return new BootswarmError('ERR_CHUNK_CORRUPT', 'a frame could not be decoded', { cause: error })
}
