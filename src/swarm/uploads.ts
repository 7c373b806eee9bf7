import {
  BootswarmError,
  isSooner,
  limits,
  type ChunkId,
  type Clock,
  type Frame,
  type GivePolicy,
  type Logger,
  type RequestClass,
  type SendPolicy,
  type ServeDecision,
  type ServePolicy
} from '../base/index.ts'
import type { FrameSource } from './frame-source.ts'
import type { Link } from './link.ts'
import { Pace } from './rate-limit.ts'
import { SendQueue, type Upload } from './send-queue.ts'
import { Takers, type Taker } from './takers.ts'
import type { Message, PeerAddress, RefusalReason } from './wire.ts'

/** After this many bytes in one go the event loop gets its turn. */
const burstBytes = 256 * 1024

/** With more links than this, what comes in during one turn of the event loop is answered at its end. */
const linesAtOnceMax = 64

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
  /** Frame bytes a second, over all links; without it as much as goes. */
  readonly bytesPerSecond?: number | undefined
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
  #queue = new SendQueue()
  /** Chunk → who waits for it. */
  #waiting = new Map<ChunkId, Set<Upload>>()
  #takers = new Takers()
  #pumping = false
  #pace: Pace
  /** The highest request number that a link has used; each is higher than those before it. */
  #newest = new WeakMap<Link, number>()
  #unloadable = new Set<ChunkId>()

  constructor(init: UploadsInit) {
    this.#init = init
    this.#pace = new Pace(init.bytesPerSecond)
  }

  /** Throws ERR_PEER_PROTOCOL when a peer has more requests open than it may. */
  want(link: Link, message: Extract<Message, { type: 'want' }>): void {
    const uploads = this.#byLink.get(link)
    const known = uploads?.get(message.request)
    if (known !== undefined) {
      this.#reclass(known, message.class)
      if (known.state === 'waiting') this.#init.onAwaited?.(known.id, known.class)
      return
    }
    // A change of class that crossed our answer to the request is too late to mean anything.
    if (message.request <= (this.#newest.get(link) ?? -1)) return
    this.#newest.set(link, message.request)
    if (uploads !== undefined && uploads.size >= limits.requestsPerPeerMax) {
      throw tooManyRequests(link)
    }
    const given = uploads?.values().find(({ id, isGift }) => isGift && id === message.id)
    if (given !== undefined) {
      // The peer has asked for it before it could read that it is given it, and cancels one of the two.
      if (isSooner(message.class, given.class)) this.#reclass(given, message.class)
      return
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

  more(link: Link, message: Extract<Message, { type: 'more' }>): void {
    const { request } = message
    if (request <= (this.#newest.get(link) ?? -1)) return
    this.#newest.set(link, request)
    const open = this.#takers.count(link) + (this.#byLink.get(link)?.size ?? 0)
    if (open >= limits.requestsPerPeerMax) throw tooManyRequests(link)
    this.#takers.add({ link, ...message })
    this.#pump()
  }

  cancel(link: Link, request: number): void {
    this.#takers.delete(link, request)
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
    for (const upload of this.#waitingFor(id)) {
      this.#forget(upload)
      upload.state = 'queued'
      this.#add(upload)
    }
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
    for (const upload of [...(this.#byLink.get(link)?.values() ?? [])]) this.#forget(upload)
    this.#takers.gone(link)
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
          isGift: false,
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
    const { peerId } = upload.link
    this.#init.policy.dropped(peerId, upload.id)
    // Its place, if it had one: a gift that cannot be loaded would else hold it for ever.
    this.#init.window?.ended(peerId, upload.request, this.#init.clock.now())
    upload.link.send({ type: 'refuse', request: upload.request, reason })
  }

  /**
   * To look through hundreds of links takes a while, and hundreds of peers say something in one turn of
   * the event loop: then it is done once, at its end.
   */
  #pump(): void {
    if (this.#queue.lineCount > linesAtOnceMax) this.#pumpSoon()
    else this.#pumpNow()
  }

  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    const { soon = setImmediate } = this.#init
    soon(() => {
      this.#pumping = false
      this.#pumpNow()
    })
  }

  /** Runs until nothing can move: every link is full or nothing is left. */
  #pumpNow(): void {
    if (this.#pumping || this.#mustWait()) return
    this.#pumping = true
    let burst = 0
    for (;;) {
      const upload = this.#queue.next(line => this.#firstOf(line))
      if (upload === undefined && this.#give()) continue
      if (upload === undefined) break
      burst += this.#sendSegment(upload)
      if (this.#mustWait()) break
      if (burst >= burstBytes) {
        this.#pumping = false
        this.#pumpSoon()
        return
      }
    }
    this.#pumping = false
  }

  #mustWait(): boolean {
    return this.#pace.holdsBack(this.#init.clock.now(), () => this.#pump())
  }

  /**
   * Somebody who takes one more is given it, when nothing else is to be sent. False when nobody can
   * be given anything now.
   */
  #give(): boolean {
    const { giving, window, clock } = this.#init
    const now = clock.now()
    if (giving === undefined) return false
    const served = this.#takers.serve(taker =>
      this.#mayGive(taker, now)
        ? giving.next(taker.link.peerId, taker.imageId, now)
        : { kind: 'later' }
    )
    if (served === undefined) return false
    const { gift } = served
    const { link, request, class: requestClass } = served.taker
    if (gift.kind === 'none') {
      link.send({ type: 'refuse', request, reason: 'not-held' })
      return true
    }
    const { id } = gift
    const begin = { state: 'queued', isAccepted: true, frame: undefined, offset: 0 } as const
    this.#add({ link, request, id, isGift: true, class: requestClass, ...begin })
    // Its size is known when it is loaded; until then it takes a place all the same.
    window?.began(link.peerId, request, limits.chunkBytesDefault / 2, now)
    link.send({ type: 'give', request, id })
    return true
  }

  /** What nobody expects to need soon waits until nobody waits. */
  #mayGive({ link, request, class: requestClass }: Taker, now: number): boolean {
    if (!link.writable || (requestClass === 'background' && this.#queue.hasUrgent)) return false
    return this.#init.window?.mayBegin(link.peerId, request, requestClass, now) ?? true
  }

  #mayBegin(upload: Upload): boolean {
    const { window, clock } = this.#init
    if (window === undefined || upload.class === 'urgent' || upload.offset > 0) return true
    return window.mayBegin(upload.link.peerId, upload.request, upload.class, clock.now())
  }

  /** The first upload that can move; starts the loading of the next that cannot yet. */
  #firstOf(line: Iterable<Upload>): Upload | undefined {
    let ahead = 0
    for (const upload of line) {
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
      .catch((error: unknown) => this.#sayUnloadable(upload.id, error))
      .then(frame => this.#loaded(upload, frame))
      .catch((error: unknown) => this.#init.logger.warn('a link failed', { error }))
  }

  /** Once a chunk: who needs it asks again and again. */
  #sayUnloadable(id: ChunkId, error: unknown): undefined {
    if (this.#unloadable.size === this.#unloadable.add(id).size) return
    this.#init.logger.warn('a chunk could not be loaded for a peer', { id, reason: String(error) })
  }

  #loaded(upload: Upload, frame: Frame | undefined): void {
    if (this.#byLink.get(upload.link)?.get(upload.request) !== upload) {
      if (frame !== undefined) this.#init.source.release?.(frame)
      return
    }
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
    const segment = frame.bytes.subarray(upload.offset, upload.offset + this.#segmentBytes(now))
    link.sendSegment(request, segment)
    this.#pace.passed(segment.length, now)
    upload.offset += segment.length
    this.bytesSent += segment.length
    if (upload.offset === frame.bytes.length) {
      this.#forget(upload)
      this.#init.policy.sent(link.peerId, id, now)
    }
    return segment.length
  }

  #segmentBytes(now: number): number {
    return this.#init.window?.segmentBytes?.(now) ?? limits.segmentBytes
  }

  #add(upload: Upload): void {
    const { link, request, id } = upload
    const uploads = this.#byLink.get(link) ?? new Map<number, Upload>()
    this.#byLink.set(link, uploads.set(request, upload))
    if (upload.state !== 'waiting') this.#queue.add(upload)
    else this.#waiting.set(id, (this.#waiting.get(id) ?? new Set()).add(upload))
  }

  #forget(upload: Upload): void {
    const { link, request, id, frame } = upload
    if (frame !== undefined) this.#init.source.release?.(frame)
    upload.frame = undefined
    const uploads = this.#byLink.get(link)
    uploads?.delete(request)
    if (uploads?.size === 0) this.#byLink.delete(link)
    this.#queue.delete(upload)
    const waiting = this.#waiting.get(id)
    waiting?.delete(upload)
    if (waiting?.size === 0) this.#waiting.delete(id)
  }

  #reclass(upload: Upload, requestClass: RequestClass): void {
    if (upload.state === 'waiting') {
      upload.class = requestClass
      return
    }
    this.#queue.delete(upload)
    upload.class = requestClass
    this.#queue.add(upload)
  }

  #waitingFor(id: ChunkId): Upload[] {
    return [...(this.#waiting.get(id) ?? [])]
  }
}

function tooManyRequests(link: Link): BootswarmError {
  return new BootswarmError(
    'ERR_PEER_PROTOCOL',
    `peer ${link.peerId} has more than ${limits.requestsPerPeerMax} requests open`
  )
}
