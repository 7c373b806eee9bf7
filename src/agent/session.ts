import {
  isErrorCode,
  limits,
  type ChunkId,
  type Frame,
  type Logger,
  type Random,
  type RequestClass
} from '../base/index.ts'
import type { Manifest } from '../image/index.ts'
import type { Tuning } from '../scheduler/index.ts'
import type { Link, PeerAddress, RefusalReason } from '../swarm/index.ts'
import type { BootLearning } from './boot-learning.ts'
import type { ImagePlace } from './image-place.ts'
import { Announcements } from './announcements.ts'
import type { CompletionNotice } from './completion-notice.ts'
import type { Items } from './items.ts'
import { LocalFrames } from './local-frames.ts'
import type { Membership } from './membership.ts'
import type { ExchangeMessage, Peering, PeeringSession } from './peering.ts'
import type { RelayCache } from './relay-cache.ts'
import type { Traffic } from './traffic.ts'
import { Transfer } from './transfer.ts'

export interface SessionInit {
  readonly items: Items
  readonly disk: ImagePlace
  readonly peering: Peering
  readonly membership: Membership
  readonly relay: RelayCache
  readonly traffic: Traffic
  readonly random: Random
  readonly tuning?: Tuning
  readonly logger: Logger
  /** Learns the boot of a machine, and foresees it; without one nothing is. */
  readonly boots?: BootLearning
  /** The name that the image was asked for by; undefined when it was a CID. */
  readonly name: string | undefined
  /** Of a disk that is to be complete one day. */
  readonly notice?: CompletionNotice
  onRelease(signed: Uint8Array): void
  onDiskError(error: unknown): void
  onArrival(): void
}

/** One image on one disk in one swarm: joins what peers say to the transfer, the frames and the news. */
export class Session implements PeeringSession {
  readonly transfer: Transfer
  readonly frames: LocalFrames
  #announcements: Announcements
  #init: SessionInit
  /** The seeds that have the whole image. */
  #seeds = new Set<Link>()

  constructor(init: SessionInit) {
    this.#init = init
    const { items, disk, peering, membership } = init
    this.frames = new LocalFrames({
      items,
      disk,
      relay: init.relay,
      logger: init.logger,
      standing: item => this.transfer.standing(item),
      onRotten: position => this.#rotten(position)
    })
    this.#announcements = new Announcements({
      imageId: items.manifest.root.imageId,
      itemCount: items.count,
      bitfield: () => bitfieldOf(items, disk)
    })
    this.transfer = new Transfer({
      ...init,
      self: peering.swarm.peerId,
      onDiskError: error => {
        // That it is full is said once, and not of each chunk.
        if (!isErrorCode(error, 'ERR_DISK_FULL')) init.onDiskError(error)
      },
      onRead: position => this.#announcements.read(position),
      onPage: page => this.#announcements.changed(items.itemOfPage(page), true),
      localPlain: id => this.frames.plain(id),
      network: {
        downloads: peering.downloads,
        link: peerId => peering.swarm.link(peerId),
        connect: async peerId => {
          const address = membership.addressOf(peerId)
          if (address === undefined) throw new Error(`the address of ${peerId} is not known`)
          return peering.swarm.connect(address)
        },
        relay: (id, frame) => peering.relay(id, frame),
        promised: id => peering.uploads.promised(id),
        abandoned: id => peering.uploads.abandoned(id)
      }
    })
  }

  start(): void {
    this.#init.peering.session = this
    this.transfer.start()
  }

  stop(): void {
    this.transfer.stop()
    this.#announcements.stop()
    void this.frames.close()
  }

  /**
   * Zero chunks are nobody's news: nine tenths of a fresh image are zero, and everybody knows it from
   * the manifest. A chunk that occurs more than once is also told of by the item that stands for it.
   */
  servable(position: number, servable: boolean): void {
    const { items, disk } = this.#init
    const id = items.idOf(position)
    if (id === undefined) return
    this.#announcements.changed(position, servable)
    const item = items.itemOf(id)
    if (item === undefined || item === position) return
    const positions = items.manifest.positionsOf(id)
    this.#announcements.changed(
      item,
      positions.some(other => disk.servable(other))
    )
  }

  onPeer(link: Link): void {
    const role = link.certificate?.role ?? 'agent'
    const isFar = this.#init.peering.isFar(link)
    this.transfer.apply({ type: 'peer', peer: link.peerId, role, isFar })
    if (role === 'seed' || this.#init.membership.isNeighbour(link.peerId)) this.greet(link)
    const { name, notice } = this.#init
    notice?.tell(link)
    if (role === 'seed') this.#init.boots?.tell(link)
    if (role === 'seed' && name !== undefined) link.send({ type: 'resolve', request: 0, name })
  }

  sayComplete(): void {
    for (const link of this.#init.peering.swarm.links()) this.#init.notice?.tell(link)
  }

  /** Of its pages those that are here. */
  get manifest(): Manifest {
    return this.#init.items.manifest
  }

  /** The connected seeds that have the whole image. */
  seeds(): Iterable<Link> {
    return this.#seeds
  }

  /** From now on the peer is to tell what it has of the image. */
  greet(link: Link): void {
    this.#announcements.greet(link)
  }

  onRelease(_link: Link, signed: Uint8Array): void {
    this.#init.onRelease(signed)
  }

  onGone(link: Link): void {
    this.#announcements.gone(link)
    if (this.#seeds.delete(link)) this.#tellSeeds()
    this.transfer.apply({ type: 'gone', peer: link.peerId })
  }

  onBanned(link: Link): void {
    this.transfer.apply({ type: 'banned', peer: link.peerId })
  }

  onHeard(link: Link): void {
    this.transfer.apply({ type: 'heard', peer: link.peerId })
  }

  onExchange(link: Link, message: ExchangeMessage): void {
    if (message.imageId !== this.#init.items.manifest.root.imageId) return
    const peer = link.peerId
    switch (message.type) {
      case 'interest':
        this.#init.membership.chosenBy(peer)
        this.#announcements.interested(link, message)
        // Whoever has a seed gets it there.
        if (this.#seeds.size === 0) this.#init.boots?.relay(link)
        return
      case 'profile':
        this.transfer.apply({ type: 'crowd', machines: message.machines })
        this.#foresee(message.bytes)
        return
      case 'have-all':
        this.transfer.apply({ type: 'has-all', peer })
        if (link.certificate?.role === 'seed' && this.#seeds.add(link).size > 1) this.#tellSeeds()
        return
      case 'have-map':
        this.transfer.apply({ type: 'has-map', peer, first: message.first, bits: message.bits })
        return
      case 'have':
        this.#learn(link, message.items)
        return
      case 'read':
        for (const item of message.items)
          if (item < this.#init.items.count) this.#announcements.read(item)
        this.transfer.apply({ type: 'expected', items: message.items })
        return
      case 'have-not':
        this.transfer.apply({ type: 'has-not', peer, items: message.items })
    }
  }

  onAccepted(link: Link, id: ChunkId, waiting: boolean): void {
    this.transfer.accepted(link, id, waiting)
  }

  onProgress(link: Link, id: ChunkId, bytes: number): void {
    this.#init.traffic.stalls.moved()
    this.transfer.progress(link, id, bytes)
  }

  onRefused(link: Link, id: ChunkId, reason: RefusalReason): void {
    this.#init.traffic.stalls.refused(reason)
    this.transfer.refused(link, id, reason)
  }

  onRedirected(link: Link, id: ChunkId, to: readonly PeerAddress[]): void {
    this.transfer.redirected(link, id, to)
  }

  onGiven(link: Link, id: ChunkId): void {
    this.transfer.given(link, id)
  }

  onNoMore(link: Link): void {
    this.transfer.apply({ type: 'no-more', peer: link.peerId })
  }

  onAwaited(id: ChunkId, requestClass: RequestClass): void {
    this.transfer.awaited(id, requestClass)
  }

  onArrived(link: Link, id: ChunkId, plain: Uint8Array, frame: Frame): Promise<void> {
    return this.transfer.arrived(link, id, plain, frame)
  }

  onCorrupt(link: Link, id: ChunkId): void {
    this.#init.traffic.stalls.refused('corrupt')
    this.transfer.refused(link, id, 'corrupt')
  }

  holding(id: ChunkId): ReturnType<LocalFrames['holding']> {
    return this.frames.holding(id)
  }

  load(id: ChunkId): Promise<Frame | undefined> {
    return this.frames.load(id)
  }

  #tellSeeds(): void {
    const { imageId } = this.#init.items.manifest.root
    const seeds = [...this.#seeds].map(link => link.peerId).slice(0, limits.addressesPerPeerMax)
    for (const link of this.#seeds) link.send({ type: 'seeds', imageId, seeds })
  }

  #foresee(signed: Uint8Array): void {
    const profile = this.#init.boots?.foresee(signed)
    if (profile !== undefined) this.transfer.foresee(profile.steps.map(({ position }) => position))
  }

  #learn(link: Link, items: readonly number[]): void {
    this.transfer.apply({ type: 'has', peer: link.peerId, items })
    for (const item of items) {
      const id = this.#init.items.idOf(item)
      if (id !== undefined) this.#init.peering.holds(link.peerId, id)
    }
  }

  #rotten(position: number): void {
    const { disk } = this.#init
    disk.distrust(position).then(
      // What the machine has made of its own disk is its affair: the chunk is served no more.
      () => (disk.handedOver ? undefined : this.transfer.refetch(position)),
      (error: unknown) => this.#init.onDiskError(error)
    )
  }
}

function bitfieldOf(items: Items, disk: ImagePlace): Uint8Array {
  const bits = new Uint8Array(Math.ceil(items.count / 8))
  bits.set(disk.bitfield())
  for (let page = 0; page < items.manifest.root.pageIds.length; page += 1) {
    if (!items.manifest.hasPage(page)) continue
    const item = items.itemOfPage(page)
    bits[item >> 3] = (bits[item >> 3] ?? 0) | (0x80 >> (item % 8))
  }
  return bits
}
