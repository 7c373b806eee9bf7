import { Announcements } from '../../src/agent/announcements.ts'
import { careFor } from '../../src/agent/link-care.ts'
import { limits, type ChunkId, type Holding, type RequestClass } from '../../src/base/index.ts'
import {
  tickMs,
  type FetchAction,
  type FetchEvent,
  type Fetching
} from '../../src/scheduler/index.ts'
import type { Message } from '../../src/swarm/index.ts'
import { AgentDownloads } from './agent-downloads.ts'
import { AgentMembership } from './agent-membership.ts'
import { RelayedFrames } from './relayed-frames.ts'
import { Reader } from './reader.ts'
import { segmentHeadBytes, type SimLink } from './sim-link.ts'
import { asLink, SimNode, type NodePlace } from './sim-node.ts'
import { imageId, type World } from './world.ts'

/** After this many chunks that do not hash to their name a peer is shut out (src/agent/peering.ts). */
const corruptChunksMax = 2

/** What src/agent/reporter.ts takes. */
const reportMs = 1_000

/** What src/agent does with messages and the scheduler's actions, on a disk that is a bit an item. */
export class AgentNode extends SimNode {
  fetching!: Fetching
  membership!: AgentMembership
  readonly reader: Reader
  readonly held: Uint8Array
  heldCount = 0
  startedAt: number | undefined
  /** When the last chunk was here; undefined until then. */
  presentAt: number | undefined
  bytesFromSeed = 0
  bytesFromPeers = 0
  linksMax = 0
  #downloads!: AgentDownloads
  #news!: Announcements
  #relayed!: RelayedFrames
  /** The seeds that have the whole image. */
  #seeds = new Set<SimLink>()
  #corrupt = new Map<string, number>()
  /** Counts its processes, so that the clocks of one that is gone stop. */
  #life = 0

  constructor(world: World, id: string, place: NodePlace) {
    super(world, id, 'agent', place)
    this.held = new Uint8Array(world.image.itemCount)
    this.reader = new Reader(world, this)
    this.#begin()
  }

  start(): void {
    const { events } = this.world
    this.state = 'up'
    this.startedAt ??= events.now
    this.#life += 1
    const life = this.#life
    const items = this.world.items.filter(item => this.#streams && this.held[item] === 0)
    this.tell({ type: 'want', items, class: 'background' })
    this.tell({ type: 'foreseen', items: this.world.profile })
    this.membership.run()
    const phase = this.world.randomOf(`${this.id} tick`).next()
    this.#repeat(life, phase * tickMs, tickMs, () => this.#tick())
    this.#repeat(life, phase * limits.pingIntervalMs, limits.pingIntervalMs, () =>
      this.#careForLinks()
    )
    this.#repeat(life, phase * reportMs, reportMs, () => this.#report())
    if (this.world.options.workload === 'replay') this.reader.start()
  }

  /** A new process on the same disk, which holds what it held; it knows the peers that it knew. */
  restart(): void {
    const { membership } = this
    this.renew()
    this.#begin()
    for (const peer of membership.peers()) this.membership.learn(peer)
    this.start()
  }

  #begin(): void {
    const { world } = this
    this.fetching = world.makeFetching(this)
    this.membership = new AgentMembership(world, this, link => this.#news.greet(asLink(link)))
    this.#downloads = new AgentDownloads()
    this.#news = new Announcements({
      imageId,
      itemCount: world.image.itemCount,
      timers: world.timers,
      bitfield: () => this.#bitfield()
    })
    this.#relayed = new RelayedFrames()
    this.#seeds.clear()
  }

  get #streams(): boolean {
    return this.world.options.background > 0
  }

  override fail(how: 'dead' | 'cut'): void {
    this.membership.stop()
    this.#news.stop()
    super.fail(how)
  }

  holding(id: ChunkId): Holding {
    const item = this.world.itemOf(id)
    if (this.held[item] === 1 || this.isLiar) return 'held'
    return this.fetching.standing(item)
  }

  holds(item: number): boolean {
    return this.held[item] === 1
  }

  /** A frame that came lately is sent on as it is; another is read and compressed again. */
  override loadMs(item: number): number {
    const { loadMs } = this.world.options
    if (this.#relayed.has(item)) return loadMs
    const { now } = this.world.events
    this.#relayed.put(item, this.world.frameBytes(item))
    return loadMs + this.processor.work(now, this.costs.compressMs) - now
  }

  /** Somebody waits for the item. */
  need(item: number): void {
    this.#news.read(item)
    this.tell({ type: 'want', items: [item], class: 'urgent' })
  }

  tell(event: FetchEvent): void {
    if (!this.isUp) return
    for (const action of this.fetching.apply(event, this.world.events.now)) this.#perform(action)
  }

  override onPeer(link: SimLink): void {
    super.onPeer(link)
    if ((this.#corrupt.get(link.peerId) ?? 0) >= corruptChunksMax) {
      link.close()
      return
    }
    this.linksMax = Math.max(this.linksMax, this.links.size)
    const { role } = link.certificate
    this.tell({ type: 'peer', peer: link.peerId, role, isFar: link.place !== this.place })
    if (role === 'seed' || this.membership.isNeighbour(link.peerId)) this.#news.greet(asLink(link))
  }

  override onAwaited(id: ChunkId, requestClass: RequestClass): void {
    this.tell({ type: 'awaited', item: this.world.itemOf(id), class: requestClass })
  }

  override onGone(link: SimLink): void {
    super.onGone(link)
    this.#downloads.gone(link)
    this.#news.gone(asLink(link))
    if (this.#seeds.delete(link)) this.#tellSeeds()
    this.tell({ type: 'gone', peer: link.peerId })
  }

  onMessage(link: SimLink, message: Message): void {
    const { peerId: peer, certificate } = link
    this.tell({ type: 'heard', peer })
    switch (message.type) {
      case 'want':
        return this.serve(link, message)
      case 'cancel':
        this.uploads.cancel(asLink(link), message.request)
        return
      case 'more':
        this.uploads.more(asLink(link), message)
        return
      case 'got':
        this.uploads.got(asLink(link), message.request)
        return
      case 'accept':
      case 'frame':
      case 'refuse':
      case 'redirect':
      case 'give':
        this.#answered(link, message)
        return
      case 'interest':
        this.membership.chosenBy(peer)
        this.#news.interested(asLink(link), message)
        if (this.isLiar) link.send({ type: 'have-all', imageId: message.imageId })
        return
      case 'profile':
        return this.tell({ type: 'crowd', machines: message.machines })
      case 'have-all':
        this.tell({ type: 'has-all', peer })
        if (certificate.role === 'seed' && this.#seeds.add(link).size > 1) this.#tellSeeds()
        return
      case 'have-map':
        return this.tell({ type: 'has-map', peer, first: message.first, bits: message.bits })
      case 'have':
        this.tell({ type: 'has', peer, items: message.items })
        for (const item of message.items) this.serving.holds(peer, this.world.idOf(item))
        return
      case 'read':
        for (const item of message.items) this.#news.read(item)
        this.tell({ type: 'expected', items: message.items })
        return
      case 'peers':
        for (const { peerId } of message.peers) this.membership.learn(peerId)
        return
      case 'ping':
        link.send({ type: 'pong', nonce: message.nonce })
    }
  }

  onPiece(link: SimLink, request: number, bytes: number): void {
    this.tell({ type: 'heard', peer: link.peerId })
    const download = this.#downloads.find(link, request)
    if (download?.item === undefined) return
    const { item } = download
    const length = bytes - segmentHeadBytes
    download.received += length
    this.watcher.moved(this, item)
    this.tell({ type: 'progress', peer: link.peerId, item, bytes: length })
    if (download.received < download.frameBytes) return
    link.send({ type: 'got', request })
    this.#downloads.over(request)
    const { events } = this.world
    const verified = this.processor.work(events.now, this.costs.verifyMs)
    events.at(verified, () => this.#arrived(link, item, download.frameBytes))
  }

  #answered(
    link: SimLink,
    message: Extract<Message, { type: 'accept' | 'give' | 'frame' | 'refuse' | 'redirect' }>
  ): void {
    const peer = link.peerId
    const download = this.#downloads.find(link, message.request)
    if (download === undefined) return
    if (message.type === 'give') {
      const item = this.world.itemOf(message.id)
      this.#downloads.given(message.request, item)
      this.watcher.asked(this, peer, item)
      this.tell({ type: 'given', peer, item })
      return
    }
    const { item } = download
    if (item === undefined) {
      this.#downloads.over(message.request)
      this.tell({ type: 'no-more', peer })
      return
    }
    switch (message.type) {
      case 'accept':
        this.watcher.accepted(this, peer, item, message.waiting)
        this.tell({ type: 'accepted', peer, item, waiting: message.waiting })
        return
      case 'frame':
        download.frameBytes = message.frameLength
        return
      case 'refuse':
        this.#downloads.over(message.request)
        this.watcher.refused(this, peer, item, message.reason)
        this.tell({ type: 'refused', peer, item, reason: message.reason })
        return
      case 'redirect': {
        this.#downloads.over(message.request)
        this.watcher.released(this, item)
        const to = message.to.map(other => other.peerId)
        for (const other of to) this.membership.learn(other)
        this.tell({ type: 'redirected', peer, item, to })
      }
    }
  }

  #arrived(link: SimLink, item: number, bytes: number): void {
    if (!this.isUp) return
    this.watcher.released(this, item)
    if (link.other.owner.isLiar) {
      this.#distrust(link)
      this.tell({ type: 'refused', peer: link.peerId, item, reason: 'corrupt' })
      return
    }
    if (link.certificate.role === 'seed') this.bytesFromSeed += bytes
    else this.bytesFromPeers += bytes
    this.#keep(item)
    this.uploads.arrived(this.world.idOf(item))
    this.tell({ type: 'settled', item })
    this.#news.changed(item, true)
    this.reader.arrived(item)
    if (this.heldCount === this.world.image.itemCount) this.#present()
  }

  #keep(item: number): void {
    if (this.held[item] === 1) return
    this.held[item] = 1
    this.heldCount += 1
    this.#relayed.put(item, this.world.frameBytes(item))
  }

  #present(): void {
    if (this.presentAt !== undefined) return
    this.presentAt = this.world.events.now
    this.world.onDone(this)
  }

  #distrust(link: SimLink): void {
    const count = (this.#corrupt.get(link.peerId) ?? 0) + 1
    this.#corrupt.set(link.peerId, count)
    if (count < corruptChunksMax) return
    this.tell({ type: 'banned', peer: link.peerId })
    link.close()
  }

  #perform(action: FetchAction): void {
    switch (action.type) {
      case 'connect':
        return this.#connect(action.peer)
      case 'look-again':
        return this.world.events.after(action.afterMs, () => this.#tick())
      case 'abandoned':
        this.watcher.released(this, action.item)
        this.uploads.abandoned(this.world.idOf(action.item))
        return
      case 'promised':
        return this.uploads.promised(this.world.idOf(action.item))
      case 'cancel': {
        const link = this.links.get(action.peer)
        this.watcher.released(this, action.item)
        if (link !== undefined) this.#downloads.cancel(link, action.item)
        return
      }
      case 'more': {
        const link = this.links.get(action.peer)
        if (link !== undefined) this.#downloads.more(link, imageId, action.class)
        return
      }
      case 'request': {
        const link = this.links.get(action.peer)
        if (link === undefined) return
        this.watcher.asked(this, action.peer, action.item)
        this.#downloads.request(link, action, this.world.idOf(action.item))
      }
    }
  }

  #tellSeeds(): void {
    const seeds = [...this.#seeds].map(link => link.peerId)
    for (const link of this.#seeds) link.send({ type: 'seeds', imageId, seeds })
  }

  #connect(peer: string): void {
    const unreachable = (): void => this.tell({ type: 'unreachable', peer })
    if (!this.membership.knows(peer)) this.world.events.after(0, unreachable)
    else
      this.world.connect(this, peer, link => {
        if (link === undefined) unreachable()
      })
  }

  #bitfield(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.held.length / 8))
    for (const [item, held] of this.held.entries()) {
      if (held === 1 || this.isLiar) bits[item >> 3] = (bits[item >> 3] ?? 0) | (0x80 >> (item % 8))
    }
    return bits
  }

  #repeat(life: number, delayMs: number, intervalMs: number, run: () => void): void {
    this.world.events.after(delayMs, () => {
      if (!this.isUp || this.#life !== life) return
      run()
      this.#repeat(life, intervalMs, intervalMs, run)
    })
  }

  #tick(): void {
    this.tell({ type: 'tick' })
    this.uploads.writable()
  }

  #careForLinks(): void {
    const { now } = this.world.events
    for (const link of [...this.links.values()]) {
      const due = careFor({
        silentMs: now - link.heardAt,
        idleMs: now - link.usedAt,
        isKept: link.certificate.role === 'seed' || this.membership.isNeighbour(link.peerId)
      })
      if (due === 'silent' || due === 'done') link.close()
      if (due === 'ping') link.send({ type: 'ping', nonce: 0 })
    }
  }

  /** What src/agent/reporter.ts tells the seeds. */
  #report(): void {
    const present = this.heldCount / this.held.length
    const { bytesFromSeed, bytesFromPeers } = this
    const report = { state: 'streaming', imageId, present, rate: 0, bytesFromSeed, bytesFromPeers }
    for (const link of this.links.values()) {
      if (link.certificate.role === 'seed') link.send({ type: 'report', report } as const)
    }
  }
}
