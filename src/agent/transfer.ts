import {
  systemClock,
  type ChunkId,
  type Frame,
  type Logger,
  type Random,
  type RequestClass
} from '../base/index.ts'
import { zeroId } from '../image/index.ts'
import { Fetching, type FetchAction, type FetchEvent, type Tuning } from '../scheduler/index.ts'
import type { Downloads, Link, PeerAddress, RefusalReason } from '../swarm/index.ts'
import type { ImagePlace } from './image-place.ts'
import type { Items } from './items.ts'
import { keepPage } from './kept-manifest.ts'
import { placeAll } from './placing.ts'
import { Ticking } from './ticking.ts'
import type { Traffic } from './traffic.ts'

/** What the transfer needs of the network; `Peering` is it. */
export interface TransferNetwork {
  readonly downloads: Downloads
  link(peerId: string): Link | undefined
  connect(peerId: string): Promise<unknown>
  /** The frame is verified: peers that wait for it can have it. */
  relay(id: ChunkId, frame: Frame): void
  /** Somebody has promised the chunk: peers whose answer waited for that get it. */
  promised(id: ChunkId): void
  /** The chunk is not asked for any more: peers that wait for it must go elsewhere. */
  abandoned(id: ChunkId): void
}

export interface TransferInit {
  /** This machine's peer id. */
  readonly self: string
  readonly items: Items
  readonly disk: ImagePlace
  readonly network: TransferNetwork
  readonly traffic: Traffic
  readonly random: Random
  readonly tuning?: Tuning
  readonly logger: Logger
  /** The plain bytes of a chunk that this disk holds at another position, if any. */
  localPlain(id: ChunkId): Promise<Uint8Array | undefined>
  onPage(page: number): void
  /** Somebody waits for the position: other machines will read it too. */
  onRead(position: number): void
  onDiskError(error: unknown): void
  /** Something has arrived: the disk may be complete now. */
  onArrival(): void
}

/** While a chunk waits for the disk the scheduler is told that it moves. */
const placingMs = 500

/** After a failed write of a chunk it is fetched again, not at once. */
const diskRetryMs = 1_000

/**
 * Brings the image onto the disk: turns what the disk needs into events for the scheduler, and what
 * the scheduler decides into requests, and places what comes.
 */
export class Transfer {
  #init: TransferInit
  #fetching: Fetching
  #ticking: Ticking
  /** Needs that wait for the page that says what the chunk is: page → position → class. */
  #unnamed = new Map<number, Map<number, RequestClass>>()
  /** Items that somebody waits for, and since when. */
  #urgent = new Map<number, number>()
  /** What the boot is foreseen to read: the image's boot profile. */
  #profile: readonly number[] = []
  /** The pages that list it. */
  #profilePages = new Set<number>()

  constructor(init: TransferInit) {
    this.#init = init
    this.#fetching = new Fetching({
      self: init.self,
      itemCount: init.items.count,
      random: init.random,
      idOf: item => init.items.idOf(item),
      ...init.tuning
    })
    this.#ticking = new Ticking(() => this.apply({ type: 'tick' }))
  }

  /** Wants everything that the disk still needs; first the pages that say what that is. */
  start(): void {
    const { items } = this.#init
    const { manifest } = items
    for (let page = 0; page < manifest.root.pageIds.length; page += 1) {
      if (manifest.hasPage(page)) this.#pageIsHere(page)
    }
    const pages = manifest.missingPages().map(page => items.itemOfPage(page))
    this.apply({ type: 'want', items: pages, class: 'prefetch' })
  }

  stop(): void {
    this.#ticking.stop()
  }

  standing(item: number): 'promised' | 'sought' | 'absent' {
    return this.#fetching.standing(item)
  }

  /** How long the read has waited that has waited longest, in ms; 0 when nobody waits. */
  longestWaitMs(): number {
    const oldest = Math.min(...this.#urgent.values())
    return Number.isFinite(oldest) ? systemClock.now() - oldest : 0
  }

  /** Chunks that somebody waits for. */
  waitingReads(): number {
    return this.#urgent.size
  }

  /** `look`: somebody looks at the image beside the machine, which says nothing of what others will read. */
  need(position: number, why: 'read' | 'write' | 'aside' | 'look'): void {
    const { manifest } = this.#init.items
    const requestClass = why === 'aside' ? 'prefetch' : 'urgent'
    if (requestClass === 'urgent' && why !== 'look') this.#init.onRead(position)
    const page = manifest.pageOf(position)
    if (manifest.hasPage(page)) {
      this.#wantChunks([position], requestClass)
      return
    }
    const unnamed = this.#unnamed.get(page) ?? new Map<number, RequestClass>()
    this.#unnamed.set(page, unnamed.set(position, requestClass))
    const item = this.#init.items.itemOfPage(page)
    this.apply({ type: 'want', items: [item], class: 'urgent' })
  }

  needless(position: number): void {
    const { items, disk } = this.#init
    this.#unnamed.get(items.manifest.pageOf(position))?.delete(position)
    const id = items.manifest.chunkIdAt(position)
    if (id === undefined || id === zeroId || !disk.needs(position)) return
    const item = items.itemOf(id) ?? position
    this.#urgent.delete(item)
    this.apply({ type: 'want', items: [item], class: 'background' })
  }

  /** The boot will read these chunks, in this order. */
  foresee(positions: readonly number[]): void {
    const { manifest } = this.#init.items
    this.#profile = positions
    this.#profilePages = new Set(positions.map(position => manifest.pageOf(position)))
    this.#foresee()
  }

  /** How far ahead of a stream of reads is fetched, in bytes. */
  get aheadBytes(): number {
    return this.#fetching.aheadBytes
  }

  /** The machine will come to these bytes of its disk. */
  ahead(offset: number, length: number): void {
    const { items, disk } = this.#init
    const { chunkSize, chunkCount } = items.manifest.root
    const end = Math.min(chunkCount, Math.ceil((offset + length) / chunkSize))
    const found: number[] = []
    for (let position = Math.floor(offset / chunkSize); position < end; position += 1) {
      const id = items.idOf(position)
      if (id !== undefined && disk.needs(position)) found.push(items.itemOf(id) ?? position)
    }
    if (found.length > 0) this.apply({ type: 'ahead', items: found })
  }

  /** The machine reads the chunk for the first time. */
  touched(position: number): void {
    const { items } = this.#init
    const id = items.idOf(position)
    if (id !== undefined) this.apply({ type: 'read', item: items.itemOf(id) ?? position })
  }

  /** A chunk that was here has turned out to be wrong or is needed again. */
  refetch(position: number): void {
    this.#wantChunks([position], 'background')
  }

  apply(event: FetchEvent): void {
    for (const action of this.#fetching.apply(event, systemClock.now())) this.#perform(action)
  }

  accepted(link: Link, id: ChunkId, waiting: boolean): void {
    this.#answered(id, item => ({ type: 'accepted', peer: link.peerId, item, waiting }))
  }

  progress(link: Link, id: ChunkId, bytes: number): void {
    this.#answered(id, item => ({ type: 'progress', peer: link.peerId, item, bytes }))
  }

  refused(link: Link, id: ChunkId, reason: RefusalReason | 'corrupt'): void {
    this.#answered(id, item => ({ type: 'refused', peer: link.peerId, item, reason }))
  }

  redirected(link: Link, id: ChunkId, to: readonly PeerAddress[]): void {
    const peers = to.map(peer => peer.peerId)
    this.#answered(id, item => ({ type: 'redirected', peer: link.peerId, item, to: peers }))
  }

  /** A seed has picked a chunk to send. */
  given(link: Link, id: ChunkId): void {
    const item = this.#init.items.itemOf(id)
    // Of a page that is not here yet: it could not be placed.
    if (item === undefined) this.#init.network.downloads.cancel(link, id)
    this.apply({ type: 'given', peer: link.peerId, item })
  }

  /** A peer waits here for a chunk that this machine waits for itself. */
  awaited(id: ChunkId, requestClass: RequestClass): void {
    this.#answered(id, item => ({ type: 'awaited', item, class: requestClass }))
  }

  /** Settles when the bytes are needed no more; never rejects. */
  arrived(link: Link, id: ChunkId, plain: Uint8Array, frame: Frame): Promise<void> {
    const { network, traffic, items } = this.#init
    traffic.received(link.certificate?.role ?? 'agent', frame.bytes.length)
    network.relay(id, frame)
    const pages = items.pagesOf(id)
    // What it waits for from here on is the disk.
    const item = items.itemOf(id)
    if (item !== undefined) this.#urgent.delete(item)
    const placed = pages.length > 0 ? this.#placePages(pages, plain) : this.#place(id, plain, frame)
    // The disk takes it when the machine leaves it time for that: nobody else need be asked meanwhile.
    const alive = setInterval(() => this.progress(link, id, 0), placingMs)
    return placed
      .catch((error: unknown) => {
        // Until this is settled the chunk counts as come, and whoever asked for it would be told nothing.
        setImmediate(() => this.#notPlaced(id, error))
      })
      .finally(() => clearInterval(alive))
  }

  #answered(id: ChunkId, event: (item: number) => FetchEvent): void {
    const item = this.#init.items.itemOf(id)
    if (item !== undefined) this.apply(event(item))
  }

  #perform(action: FetchAction): void {
    const { items, network } = this.#init
    if (action.type === 'connect') {
      network.connect(action.peer).catch(() => {
        this.apply({ type: 'unreachable', peer: action.peer })
      })
      return
    }
    if (action.type === 'look-again') return this.#ticking.after(action.afterMs)
    if (action.type === 'more') {
      this.#askForMore(action.peer, action.class)
      return
    }
    const id = items.idOf(action.item)
    if (id === undefined) return
    if (action.type === 'abandoned') {
      network.abandoned(id)
      return
    }
    if (action.type === 'promised') {
      network.promised(id)
      return
    }
    const link = network.link(action.peer)
    if (link === undefined) return
    if (action.type === 'cancel') {
      network.downloads.cancel(link, id)
      return
    }
    network.downloads.request(link, id, action.class, {
      insist: action.insist,
      plainLengthMax: items.plainLengthMax(action.item)
    })
  }

  #askForMore(peer: string, requestClass: RequestClass): void {
    const { items, network } = this.#init
    const { imageId, chunkSize } = items.manifest.root
    const link = network.link(peer)
    if (link !== undefined)
      network.downloads.more(link, { imageId, class: requestClass }, chunkSize)
  }

  async #placePages(pages: readonly number[], bytes: Uint8Array): Promise<void> {
    const { items, disk } = this.#init
    // The manifest keeps its pages; what came is in memory that is used again.
    const plain = Uint8Array.from(bytes)
    const item = items.itemOfPage(pages[0] ?? 0)
    for (const page of pages) {
      items.manifest.addPage(page, plain)
      await keepPage(disk, page, plain)
      this.#init.onPage(page)
    }
    this.apply({ type: 'settled', item })
    for (const page of pages) this.#pageIsHere(page)
    this.#init.onArrival()
  }

  async #place(id: ChunkId, plain: Uint8Array, frame: Frame | undefined): Promise<void> {
    const { items, disk } = this.#init
    const item = items.itemOf(id)
    await placeAll(disk, items.manifest.positionsOf(id), plain, frame)
    if (item === undefined) return
    this.#urgent.delete(item)
    this.apply({ type: 'settled', item })
    this.#init.onArrival()
  }

  #notPlaced(id: ChunkId, error: unknown): void {
    this.#init.onDiskError(error)
    const item = this.#init.items.itemOf(id)
    if (item === undefined) return
    // Somebody has begun to wait for it since it came.
    const isAwaited = this.#urgent.has(item)
    this.apply({ type: 'settled', item })
    if (isAwaited) this.#fetchAgain(id, item, 'urgent')
    else setTimeout(() => this.#fetchAgain(id, item, 'background'), diskRetryMs).unref()
  }

  #fetchAgain(id: ChunkId, item: number, requestClass: RequestClass): void {
    const { items, disk } = this.#init
    if (this.standing(item) !== 'absent') return
    if (requestClass === 'background' && this.#urgent.has(item)) return
    const needed = items.manifest.positionsOf(id).filter(position => disk.needs(position))
    if (needed.length > 0) this.#wantChunks(needed, requestClass)
  }

  /** As far as pages say what the chunks are. */
  #foresee(): void {
    const { items } = this.#init
    const named = this.#profile.flatMap(position => {
      const id = items.idOf(position)
      return id === undefined ? [] : [items.itemOf(id) ?? position]
    })
    this.apply({ type: 'foreseen', items: [...new Set(named)] })
  }

  #pageIsHere(page: number): void {
    const { items, disk } = this.#init
    const { first, end } = items.positionsOfPage(page)
    const unnamed = this.#unnamed.get(page) ?? new Map<number, RequestClass>()
    this.#unnamed.delete(page)
    const byClass = new Map<RequestClass, number[]>([
      ['urgent', []],
      ['prefetch', []],
      ['background', []]
    ])
    for (let position = first; position < end; position += 1) {
      if (!disk.needs(position)) continue
      byClass.get(unnamed.get(position) ?? 'background')?.push(position)
    }
    for (const [requestClass, positions] of byClass) this.#wantChunks(positions, requestClass)
    if (this.#profilePages.has(page)) this.#foresee()
  }

  /** Their pages are here. */
  #wantChunks(positions: readonly number[], requestClass: RequestClass): void {
    const { items, disk } = this.#init
    const wanted = new Set<number>()
    for (const position of positions) {
      const id = items.manifest.chunkIdAt(position)
      if (id === undefined) continue
      if (id === zeroId) disk.placeZero(position)
      else if (this.#isElsewhereHere(position, id)) this.#copyLocally(id)
      else wanted.add(items.itemOf(id) ?? position)
    }
    if (requestClass === 'urgent') {
      for (const item of wanted) this.#urgent.set(item, this.#urgent.get(item) ?? systemClock.now())
    }
    if (wanted.size > 0) this.apply({ type: 'want', items: [...wanted], class: requestClass })
    if (wanted.size < positions.length) this.#init.onArrival()
  }

  #isElsewhereHere(position: number, id: ChunkId): boolean {
    const { items, disk } = this.#init
    const positions = items.manifest.positionsOf(id)
    return (
      positions.length > 1 && positions.some(other => other !== position && disk.servable(other))
    )
  }

  #copyLocally(id: ChunkId): void {
    const { traffic, logger } = this.#init
    const copy = async (): Promise<void> => {
      const plain = await this.#init.localPlain(id)
      if (plain === undefined) {
        const item = this.#init.items.itemOf(id)
        if (item !== undefined) this.apply({ type: 'want', items: [item], class: 'urgent' })
        return
      }
      traffic.bytesLocal += plain.length
      await this.#place(id, plain, undefined)
    }
    copy().catch((error: unknown) => {
      logger.debug('a local copy failed', { error: String(error) })
      this.#notPlaced(id, error)
    })
  }
}
