import {
  BootswarmError,
  limits,
  requestClasses,
  type ChunkId,
  type Clock,
  type Frame,
  type GivePolicy,
  type Holding,
  type Logger,
  type RequestClass,
  type SendPolicy,
  type ServeDecision,
  type ServePolicy
} from '../base/index.ts'
import type { Link } from './link.ts'
import type { Message, PeerAddress, RefusalReason } from './wire.ts'

/** Where this node's frames come from. */
export interface FrameSource {
  holding(id: ChunkId): Holding
  /** Undefined when the chunk turns out not to be here, or not intact. */
  load(id: ChunkId): Promise<Frame | undefined>
}

interface Upload {
  readonly link: Link
  readonly request: number
  readonly id: ChunkId
  class: RequestClass
  state: 'waiting' | 'queued' | 'loading' | 'ready'
  /** The peer knows that it will be served. */
  isAccepted: boolean
  frame: Frame | undefined
  offset: number
}

/** After this many bytes in one go the event loop gets its turn. */
const burstBytes = 256 * 1024

/** A peer that takes whatever it is given. */
interface Taker {
  readonly link: Link
  readonly request: number
  readonly imageId: ChunkId
}

export interface UploadsInit {
  readonly policy: ServePolicy
  /** Without it, only the connections bound what is on its way. */
  readonly window?: SendPolicy
  /** Without it, nobody is given what it did not name. */
  readonly giving?: GivePolicy
  readonly source: FrameSource
  readonly clock: Clock
  readonly logger: Logger
  /** The addresses to put into a redirect; undefined for a peer that is not known any more. */
  addressOf(peerId: string): PeerAddress | undefined
  /** A peer waits here for a chunk that this node waits for itself. */
  onAwaited?(id: ChunkId, requestClass: RequestClass): void
  /** Runs it when the event loop has had its turn; given by the simulator, whose time is not real. */
  readonly soon?: (run: () => void) => void
}

/**
 * What other peers want of this node. Frames go out in segments: urgent ones first, then prefetch,
 * then background, over all links; within a class the links take turns.
 */
export class Uploads {
  /** Frame bytes handed to links since the start. */
  bytesSent = 0
  #init: UploadsInit
  #byLink = new Map<Link, Map<number, Upload>>()
  /** Links with uploads, and whose turn is next among them. */
  #links: Link[] = []
  /** Those who take one more, in the order in which they said so. */
  #takers: Taker[] = []
  #turn = 0
  #pumping = false
  /** The highest request number that a link has used; each is higher than those before it. */
  #newest = new WeakMap<Link, number>()

  constructor(init: UploadsInit) {
    this.#init = init
  }

  /** Throws ERR_PEER_PROTOCOL when a peer has more requests open than it may. */
  want(link: Link, message: Extract<Message, { type: 'want' }>): void {
    const uploads = this.#byLink.get(link)
    const known = uploads?.get(message.request)
    if (known !== undefined) {
      known.class = message.class
      if (known.state === 'waiting') this.#init.onAwaited?.(known.id, known.class)
      return
    }
    // A change of class that crossed our answer to the request is too late to mean anything.
    if (message.request <= (this.#newest.get(link) ?? -1)) return
    this.#newest.set(link, message.request)
    if (uploads !== undefined && uploads.size >= limits.requestsPerPeerMax) {
      throw tooManyRequests(link)
    }
    const { policy, source, clock } = this.#init
    const want = { peer: link.peerId, ...message }
    if (message.class === 'background' && this.#init.window?.yields(clock.now()) === true) {
      // Kept here it would only stand in line; somebody else may have the time.
      link.send({ type: 'refuse', request: message.request, reason: 'busy' })
      return
    }
    this.#carryOut(link, message, policy.decide(want, source.holding(message.id), clock.now()))
  }

  more(link: Link, { request, imageId }: Extract<Message, { type: 'more' }>): void {
    if (request <= (this.#newest.get(link) ?? -1)) return
    this.#newest.set(link, request)
    const open = this.#takers.filter(taker => taker.link === link).length
    if (open + (this.#byLink.get(link)?.size ?? 0) >= limits.requestsPerPeerMax) {
      throw tooManyRequests(link)
    }
    this.#takers.push({ link, request, imageId })
    this.#pump()
  }

  cancel(link: Link, request: number): void {
    this.#takers = this.#takers.filter(taker => taker.link !== link || taker.request !== request)
    const upload = this.#byLink.get(link)?.get(request)
    if (upload !== undefined) this.#refuse(upload, 'given-up')
    this.got(link, request)
  }

  /** The peer has a whole frame, so that the next can go out. */
  got(link: Link, request: number): void {
    this.#init.window?.ended(link.peerId, request, this.#init.clock.now())
    this.#pump()
  }

  /** A promised chunk is here now: those who wait for it get it. */
  arrived(id: ChunkId): void {
    for (const upload of this.#waitingFor(id)) upload.state = 'queued'
    this.#pump()
  }

  /** A chunk that was sought is promised now: those whose answer waited for that are accepted. */
  promised(id: ChunkId): void {
    for (const upload of this.#waitingFor(id)) this.#accept(upload)
  }

  /** A promised chunk will not come: those who wait for it must ask elsewhere. */
  abandoned(id: ChunkId): void {
    for (const upload of this.#waitingFor(id)) this.#refuse(upload, 'given-up')
  }

  gone(link: Link): void {
    this.#forgetLink(link)
    this.#takers = this.#takers.filter(taker => taker.link !== link)
    this.#init.window?.gone(link.peerId)
    this.#init.policy.gone(link.peerId)
  }

  writable(): void {
    this.#pump()
  }

  #carryOut(link: Link, want: Extract<Message, { type: 'want' }>, decision: ServeDecision): void {
    switch (decision.kind) {
      case 'send':
      case 'wait': {
        const waiting = decision.kind === 'wait'
        const upload: Upload = {
          link,
          request: want.request,
          id: want.id,
          class: want.class,
          state: waiting ? 'waiting' : 'queued',
          isAccepted: false,
          frame: undefined,
          offset: 0
        }
        this.#add(upload)
        if (waiting) this.#init.onAwaited?.(want.id, want.class)
        // What this node only seeks itself it must not promise: two could wait for each other.
        if (!waiting || this.#init.source.holding(want.id) !== 'sought') this.#accept(upload)
        this.#pump()
        return
      }
      case 'redirect': {
        const to = decision.to.flatMap(peerId => this.#init.addressOf(peerId) ?? [])
        if (to.length === 0) link.send({ type: 'refuse', request: want.request, reason: 'busy' })
        else link.send({ type: 'redirect', request: want.request, to })
        return
      }
      case 'refuse':
        link.send({ type: 'refuse', request: want.request, reason: decision.reason })
    }
  }

  #accept(upload: Upload): void {
    if (upload.isAccepted) return
    upload.isAccepted = true
    const waiting = upload.state === 'waiting'
    upload.link.send({ type: 'accept', request: upload.request, waiting })
  }

  #refuse(upload: Upload, reason: RefusalReason): void {
    this.#forget(upload)
    this.#init.policy.dropped(upload.link.peerId, upload.id)
    upload.link.send({ type: 'refuse', request: upload.request, reason })
  }

  /** Runs until nothing can move: every link is full or nothing is left. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    let burst = 0
    for (;;) {
      const upload = this.#nextReady()
      if (upload === undefined && this.#give()) continue
      if (upload === undefined) break
      burst += this.#sendSegment(upload)
      if (burst >= burstBytes) {
        const { soon = setImmediate } = this.#init
        soon(() => {
          this.#pumping = false
          this.#pump()
        })
        return
      }
    }
    this.#pumping = false
  }

  #nextReady(): Upload | undefined {
    for (const wanted of requestClasses) {
      for (let step = 0; step < this.#links.length; step += 1) {
        const turn = (this.#turn + step) % this.#links.length
        const link = this.#links[turn]
        if (link === undefined) continue
        // An urgent frame is loaded while the link is still full, so that nothing goes before it then.
        if (!link.writable && wanted !== 'urgent') continue
        const upload = this.#firstOf(link, wanted)
        if (upload === undefined || !link.writable) continue
        this.#turn = turn + 1
        return upload
      }
    }
    return undefined
  }

  /**
   * Somebody who takes one more is given it, when nothing else is to be sent. False when nobody can
   * be given anything now.
   */
  #give(): boolean {
    const { giving, window, clock } = this.#init
    const now = clock.now()
    if (giving === undefined || this.#hasUrgent()) return false
    for (const taker of this.#takers) {
      const { link, request, imageId } = taker
      if (!link.writable || window?.mayBegin(link.peerId, request, 'background', now) === false)
        continue
      const gift = giving.next(link.peerId, imageId, now)
      if (gift.kind === 'later') continue
      this.#takers = this.#takers.filter(other => other !== taker)
      if (gift.kind === 'none') {
        link.send({ type: 'refuse', request, reason: 'not-held' })
        return true
      }
      const { id } = gift
      this.#add({
        link,
        request,
        id,
        class: 'background',
        state: 'queued',
        isAccepted: true,
        frame: undefined,
        offset: 0
      })
      // Its size is known when it is loaded; until then it takes a place all the same.
      window?.began(link.peerId, request, limits.chunkBytesDefault / 2, now)
      link.send({ type: 'give', request, id })
      return true
    }
    return false
  }

  #hasUrgent(): boolean {
    for (const uploads of this.#byLink.values()) {
      for (const upload of uploads.values()) {
        if (upload.class === 'urgent' && upload.state !== 'waiting') return true
      }
    }
    return false
  }

  #mayBegin(upload: Upload): boolean {
    const { window, clock } = this.#init
    if (window === undefined || upload.class === 'urgent' || upload.offset > 0) return true
    return window.mayBegin(upload.link.peerId, upload.request, upload.class, clock.now())
  }

  /** The first upload of that class that can move; starts the loading of the next that cannot yet. */
  #firstOf(link: Link, wanted: RequestClass): Upload | undefined {
    let ahead = 0
    for (const upload of this.#byLink.get(link)?.values() ?? []) {
      if (upload.class !== wanted || upload.state === 'waiting') continue
      if (upload.state === 'ready' && this.#mayBegin(upload)) return upload
      if (upload.state === 'queued') this.#load(upload)
      ahead += 1
      if (ahead === limits.framesAheadMax) return undefined
    }
    return undefined
  }

  #load(upload: Upload): void {
    upload.state = 'loading'
    this.#init.source
      .load(upload.id)
      .catch((error: unknown) => {
        this.#init.logger.warn('a chunk could not be loaded for a peer', { id: upload.id, error })
        return undefined
      })
      .then(frame => this.#loaded(upload, frame))
      .catch((error: unknown) => this.#init.logger.warn('a link failed', { error }))
  }

  #loaded(upload: Upload, frame: Frame | undefined): void {
    if (this.#byLink.get(upload.link)?.get(upload.request) !== upload) return
    if (frame === undefined) {
      this.#refuse(upload, 'not-held')
      return
    }
    upload.frame = frame
    upload.state = 'ready'
    this.#pump()
  }

  #sendSegment(upload: Upload): number {
    const { link, request, frame, id } = upload
    if (frame === undefined) return 0
    if (upload.offset === 0) {
      const { encoding, plainLength, bytes } = frame
      link.send({ type: 'frame', request, encoding, frameLength: bytes.length, plainLength })
    }
    const now = this.#init.clock.now()
    if (upload.offset === 0 && upload.class !== 'urgent') {
      this.#init.window?.began(link.peerId, request, frame.bytes.length, now)
    } else this.#init.window?.moved(link.peerId, request, now)
    if (upload.class === 'urgent') this.#init.window?.urgent(now)
    const segment = frame.bytes.subarray(upload.offset, upload.offset + limits.segmentBytes)
    link.sendSegment(request, segment)
    upload.offset += segment.length
    this.bytesSent += segment.length
    if (upload.offset === frame.bytes.length) {
      this.#forget(upload)
      this.#init.policy.sent(link.peerId, id, now)
    }
    return segment.length
  }

  #add(upload: Upload): void {
    const known = this.#byLink.get(upload.link)
    if (known === undefined) this.#links.push(upload.link)
    const uploads = known ?? new Map<number, Upload>()
    this.#byLink.set(upload.link, uploads.set(upload.request, upload))
  }

  #forget(upload: Upload): void {
    const uploads = this.#byLink.get(upload.link)
    uploads?.delete(upload.request)
    if (uploads?.size === 0) this.#forgetLink(upload.link)
  }

  #forgetLink(link: Link): void {
    this.#byLink.delete(link)
    this.#links = this.#links.filter(other => other !== link)
  }

  #waitingFor(id: ChunkId): Upload[] {
    return [...this.#byLink.values()].flatMap(uploads =>
      [...uploads.values()].filter(upload => upload.id === id && upload.state === 'waiting')
    )
  }
}

function tooManyRequests(link: Link): BootswarmError {
  return new BootswarmError(
    'ERR_PEER_PROTOCOL',
    `peer ${link.peerId} has more than ${limits.requestsPerPeerMax} requests open`
  )
}
