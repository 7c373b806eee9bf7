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
import { AgentNews } from './agent-news.ts'
import { Reader } from './reader.ts'
import { segmentHeadBytes, type SimLink } from './sim-link.ts'
import { asLink, SimNode, type NodePlace } from './sim-node.ts'
import { imageId, type World } from './world.ts'

/** After this many chunks that do not hash to their name a peer is shut out (src/agent/peering.ts). */
const corruptChunksMax = 2

/** What src/agent does with messages and the scheduler's actions, on a disk that is a bit an item. */
export class AgentNode extends SimNode {
  readonly fetching: Fetching
  readonly membership: AgentMembership
  readonly reader: Reader
  held: Uint8Array
  heldCount = 0
  startedAt = 0
  /** When the last chunk was here; undefined until then. */
  presentAt: number | undefined
  bytesFromSeed = 0
  bytesFromPeers = 0
  linksMax = 0
  #downloads = new AgentDownloads()
  #news: AgentNews
  #corrupt = new Map<string, number>()

  constructor(world: World, id: string, place: NodePlace) {
    super(world, id, 'agent', place)
    this.fetching = world.makeFetching(this)
    this.membership = new AgentMembership(world, this)
    this.held = new Uint8Array(world.image.itemCount)
    this.reader = new Reader(world, this)
    this.#news = new AgentNews(world, () => this.#bitfield())
  }

  start(): void {
    const { events, options } = this.world
    this.state = 'up'
    this.startedAt = events.now
    const isWanted = (item: number): boolean => options.background > 0 && this.held[item] === 0
    const items = this.world.items.filter(isWanted)
    this.tell({ type: 'want', items, class: 'background' })
    if (options.workload === 'replay') this.reader.start()
    this.membership.run()
    const phase = this.world.randomOf(`${this.id} tick`).next()
    events.after(phase * tickMs, () => this.#tick())
    events.after(phase * limits.pingIntervalMs, () => this.#ping())
  }

  holding(id: ChunkId): Holding {
    const item = this.world.itemOf(id)
    if (this.held[item] === 1 || this.isLiar) return 'held'
    return this.fetching.standing(item)
  }

  holds(item: number): boolean {
    return this.held[item] === 1
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

  onPeer(link: SimLink): void {
    if ((this.#corrupt.get(link.peerId) ?? 0) >= corruptChunksMax) {
      link.close()
      return
    }
    this.linksMax = Math.max(this.linksMax, this.links.size)
    this.tell({ type: 'peer', peer: link.peerId, role: link.certificate.role })
    this.#news.greet(link)
  }

  override onAwaited(id: ChunkId, requestClass: RequestClass): void {
    this.tell({ type: 'awaited', item: this.world.itemOf(id), class: requestClass })
  }

  override onGone(link: SimLink): void {
    super.onGone(link)
    this.#downloads.gone(link)
    this.#news.gone(link)
    this.tell({ type: 'gone', peer: link.peerId })
  }

  onMessage(link: SimLink, message: Message): void {
    const peer = link.peerId
    this.tell({ type: 'heard', peer })
    switch (message.type) {
      case 'want':
        this.serve(link, message)
        return
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
        this.#news.interested(link)
        if (this.isLiar) link.send({ type: 'have-all', imageId: message.imageId })
        return
      case 'have-all':
        this.tell({ type: 'has-all', peer })
        return
      case 'have-map':
        this.tell({ type: 'has-map', peer, first: message.first, bits: message.bits })
        return
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
    this.#news.has(item)
    this.reader.arrived(item)
    if (this.heldCount === this.world.image.itemCount) this.#present()
  }

  #keep(item: number): void {
    if (this.held[item] === 1) return
    this.held[item] = 1
    this.heldCount += 1
  }

  #present(): void {
    if (this.presentAt !== undefined) return
    this.presentAt = this.world.events.now
    this.world.onDone(this)
  }

  #distrust(link: SimLink): void {
    const count = (this.#corrupt.get(link.peerId) ?? 0) + 1
    this.#corrupt.set(link.peerId, count)
    if (count >= corruptChunksMax) link.close()
  }

  #perform(action: FetchAction): void {
    switch (action.type) {
      case 'connect':
        this.#connect(action.peer)
        return
      case 'abandoned':
        this.watcher.released(this, action.item)
        this.uploads.abandoned(this.world.idOf(action.item))
        return
      case 'promised':
        this.uploads.promised(this.world.idOf(action.item))
        return
      case 'cancel': {
        const link = this.links.get(action.peer)
        this.watcher.released(this, action.item)
        if (link !== undefined) this.#downloads.cancel(link, action.item)
        return
      }
      case 'more': {
        const link = this.links.get(action.peer)
        if (link !== undefined) this.#downloads.more(link, imageId)
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

  #connect(peer: string): void {
    const unreachable = (): void => this.tell({ type: 'unreachable', peer })
    if (!this.membership.knows(peer)) {
      this.world.events.after(0, unreachable)
      return
    }
    this.world.connect(this, peer, link => {
      if (link === undefined) unreachable()
    })
  }

  #bitfield(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.held.length / 8))
    for (const [item, held] of this.held.entries()) {
      if (held === 1) bits[item >> 3] = (bits[item >> 3] ?? 0) | (0x80 >> (item % 8))
    }
    return bits
  }

  #tick(): void {
    if (!this.isUp) return
    this.tell({ type: 'tick' })
    this.uploads.writable()
    this.world.events.after(tickMs, () => this.#tick())
  }

  /** A peer that was cut off says nothing more (src/agent/peering.ts). */
  #ping(): void {
    if (!this.isUp) return
    const { now } = this.world.events
    for (const link of [...this.links.values()]) {
      if (now - link.heardAt > limits.peerSilentMs) link.close()
      else link.send({ type: 'ping', nonce: 0 })
    }
    this.world.events.after(limits.pingIntervalMs, () => this.#ping())
  }
}
