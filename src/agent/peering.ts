import {
  limits,
  systemClock,
  type ChunkId,
  type Frame,
  type Logger,
  type RequestClass,
  type SigningKey
} from '../base/index.ts'
import { makeSendWindow, Serving, tickMs, type Tuning } from '../scheduler/index.ts'
import {
  Downloads,
  Swarm,
  Uploads,
  type DownloadHandlers,
  type FrameSource,
  type Link,
  type Message,
  type PeerAddress
} from '../swarm/index.ts'
import { careFor } from './link-care.ts'
import { OwnAddresses } from './own-addresses.ts'
import type { RelayCache } from './relay-cache.ts'

/** Who gets what the peers say; until the image is known, nobody does. */
export interface PeeringSession extends DownloadHandlers, FrameSource {
  onPeer(link: Link): void
  onGone(link: Link): void
  onHeard(link: Link): void
  /** It sends what is not what it was asked for: it is not to be asked again. */
  onBanned(link: Link): void
  /** A peer waits here for a chunk that is not here yet. */
  onAwaited(id: ChunkId, requestClass: RequestClass): void
  onExchange(link: Link, message: ExchangeMessage): void
  /** Signed bytes, not checked yet; empty when the seed knows no such name. */
  onRelease(link: Link, signed: Uint8Array): void
}

export type ExchangeMessage = Extract<
  Message,
  { type: 'interest' | 'have-all' | 'have-map' | 'have' | 'have-not' | 'read' | 'profile' }
>

/** Bytes of frames a second; what is not set is not limited. */
export interface Rates {
  readonly uploadRate?: number | undefined
  readonly downloadRate?: number | undefined
}

export interface PeeringInit extends Rates {
  readonly key: SigningKey
  readonly labKey: Uint8Array
  readonly listen: readonly string[]
  readonly location?: string | undefined
  readonly relay: RelayCache
  readonly tuning?: Tuning
  readonly logger: Logger
  /** Whether a link is worth keeping while nothing is asked over it. */
  keeps(link: Link): boolean
  onPeers(peers: readonly PeerAddress[]): void
}

/** After this many chunks that do not hash to their name a peer is shut out. */
const corruptChunksMax = 2

/**
 * This machine among its peers: one swarm, what is asked of others, what others ask. It knows
 * messages, not images: what they mean for the image is the session's business.
 */
export class Peering {
  readonly downloads: Downloads
  readonly uploads: Uploads
  #init: PeeringInit
  #swarm!: Swarm
  #session: PeeringSession | undefined
  #serving: Serving
  #corrupt = new Map<string, number>()
  /** When a link served for anything but to see whether it is alive. */
  #usedAt = new WeakMap<Link, number>()
  #addresses = new OwnAddresses()
  #lostAddressAt: number | undefined
  #pings: NodeJS.Timeout | undefined
  #retries: NodeJS.Timeout

  static async start(init: PeeringInit): Promise<Peering> {
    const peering = new Peering(init)
    // While a listener is made and peers are dialled there is time for it.
    peering.downloads.start()
    try {
      peering.#swarm = await Swarm.start({
        key: init.key,
        labKey: init.labKey,
        listen: init.listen,
        location: init.location,
        logger: init.logger,
        handlers: {
          onPeer: link => peering.#onPeer(link),
          onMessage: (link, message) => peering.#receive(link, message),
          onWritable: () => peering.uploads.writable(),
          onGone: link => peering.#onGone(link)
        }
      })
    } catch (error) {
      clearInterval(peering.#retries)
      await peering.downloads.close()
      throw error
    }
    // Not before: a slow machine may take longer than the first interval to get here.
    peering.#pings = setInterval(() => peering.#watch(), limits.pingIntervalMs)
    return peering
  }

  private constructor(init: PeeringInit) {
    this.#init = init
    const { mechanisms } = init.tuning ?? {}
    this.#serving = new Serving('agent', mechanisms, init.location)
    const session = (): PeeringSession | undefined => this.#session
    this.downloads = new Downloads(
      {
        onAccepted: (link, id, waiting) => session()?.onAccepted(link, id, waiting),
        onProgress: (link, id, bytes) => session()?.onProgress(link, id, bytes),
        onGiven: (link, id) => session()?.onGiven?.(link, id),
        onNoMore: link => session()?.onNoMore?.(link),
        onRefused: (link, id, reason) => session()?.onRefused(link, id, reason),
        onRedirected: (link, id, to) => session()?.onRedirected(link, id, to),
        onArrived: (link, id, plain, frame) => session()?.onArrived(link, id, plain, frame),
        onCorrupt: (link, id, error) => {
          this.#distrust(link)
          session()?.onCorrupt(link, id, error)
        }
      },
      init.downloadRate
    )
    this.uploads = new Uploads({
      policy: this.#serving,
      bytesPerSecond: init.uploadRate,
      window: makeSendWindow(mechanisms),
      onAwaited: (id, requestClass) => session()?.onAwaited(id, requestClass),
      source: {
        holding: id => session()?.holding(id) ?? 'absent',
        load: id => session()?.load(id) ?? Promise.resolve(undefined),
        release: frame => init.relay.release(frame)
      },
      clock: systemClock,
      logger: init.logger,
      addressOf: peerId => this.#swarm.addressOf(peerId)
    })
    this.#retries = setInterval(() => this.uploads.writable(), tickMs)
  }

  /** In another rack or subnet than this machine. */
  isFar(link: Link): boolean {
    return link.place !== (this.#init.location ?? '')
  }

  get swarm(): Swarm {
    return this.#swarm
  }

  /** The peers that are here already are announced to the new session at once. */
  set session(session: PeeringSession) {
    this.#session = session
    for (const link of this.#swarm.links()) session.onPeer(link)
  }

  relay(id: ChunkId, frame: Frame): void {
    this.#init.relay.put(id, frame)
    this.uploads.arrived(id)
  }

  /** A peer says that it holds a chunk: it can be named to others who ask for it. */
  holds(peerId: string, id: ChunkId): void {
    this.#serving.holds(peerId, id)
  }

  async stop(): Promise<void> {
    clearInterval(this.#pings)
    clearInterval(this.#retries)
    await this.#swarm.stop()
    await this.downloads.close()
  }

  #onPeer(link: Link): void {
    if ((this.#corrupt.get(link.peerId) ?? 0) >= corruptChunksMax) {
      link.close(new Error('it sent chunks that were not what they were called'))
      return
    }
    this.#usedAt.set(link, systemClock.now())
    this.#serving.located(link.peerId, link.place)
    this.#session?.onPeer(link)
  }

  #onGone(link: Link): void {
    this.uploads.gone(link)
    this.downloads.gone(link)
    this.#session?.onGone(link)
  }

  #receive(link: Link, message: Message): void {
    if (message.type !== 'ping' && message.type !== 'pong') {
      this.#usedAt.set(link, systemClock.now())
    }
    this.#session?.onHeard(link)
    switch (message.type) {
      case 'want':
        this.uploads.want(link, message)
        return
      case 'cancel':
        this.uploads.cancel(link, message.request)
        return
      case 'got':
        this.uploads.got(link, message.request)
        return
      case 'accept':
      case 'give':
      case 'frame':
      case 'segment':
      case 'refuse':
        this.downloads.receive(link, message)
        return
      case 'redirect':
        this.#init.onPeers(message.to)
        this.downloads.receive(link, message)
        return
      case 'interest':
      case 'have-all':
      case 'have-map':
      case 'have':
      case 'have-not':
      case 'profile':
      case 'read':
        this.#session?.onExchange(link, message)
        return
      case 'peers':
        this.#init.onPeers(message.peers)
        return
      case 'release':
        this.#session?.onRelease(link, message.release)
        return
      case 'ping':
        link.send({ type: 'pong', nonce: message.nonce })
        return
      case 'pong':
      case 'more':
      case 'seeds':
      case 'resolve':
      case 'boot':
      case 'completion':
      case 'report':
      case 'hello':
        // Nothing an agent acts upon: it signs no releases and keeps no list of machines.
        return
    }
  }

  #distrust(link: Link): void {
    const count = (this.#corrupt.get(link.peerId) ?? 0) + 1
    this.#corrupt.set(link.peerId, count)
    const { name } = link.certificate ?? {}
    this.#init.logger.warn('a peer sent a chunk that is not what it was asked for', { peer: name })
    if (count < corruptChunksMax) return
    this.#session?.onBanned(link)
    link.close(new Error('it sent corrupt chunks twice'))
  }

  #watch(): void {
    const now = systemClock.now()
    if (this.#addresses.hasLostOne()) this.#lostAddressAt = now
    const lostAddressMs = this.#lostAddressAt === undefined ? undefined : now - this.#lostAddressAt
    for (const link of this.#swarm.links()) {
      const due = careFor({
        silentMs: now - link.heardAt,
        idleMs: now - (this.#usedAt.get(link) ?? now),
        isKept: this.#init.keeps(link),
        lostAddressMs
      })
      if (due === 'silent') link.close(new Error('it fell silent'))
      if (due === 'done') link.close()
      if (due === 'ping') link.send({ type: 'ping', nonce: 0 })
    }
  }
}
