import {
  silentLogger,
  type ChunkId,
  type Frame,
  type Holding,
  type RequestClass
} from '../../src/base/index.ts'
import { makeSendWindow, type Serving } from '../../src/scheduler/index.ts'
import { Uploads, type Link } from '../../src/swarm/index.ts'
import type { Message } from '../../src/swarm/index.ts'
import type { WireMessage } from '../../src/swarm/messages.ts'
import { messagesIn } from '../../src/swarm/outbox.ts'
import { MessageCounts } from './message-counts.ts'
import type { Port } from './port.ts'
import type { Costs, Processor } from './processor.ts'
import { segmentHeadBytes, type SimLink, type Unit } from './sim-link.ts'
import type { Watcher } from './watcher.ts'
import type { World } from './world.ts'

/** What `Serving` is for the rest of a node. */
export type Policy = Pick<Serving, keyof Serving>

export interface NodePlace {
  readonly up: Port
  readonly down: Port
  readonly processor: Processor
  readonly rack: number | undefined
}

/** What seed and agent have in common: lines, a processor, links, and the product's own `Uploads`. */
export abstract class SimNode {
  readonly id: string
  readonly role: 'seed' | 'agent'
  readonly up: Port
  readonly down: Port
  readonly processor: Processor
  readonly rack: number | undefined
  readonly costs: Costs
  readonly watcher: Watcher
  readonly links = new Map<string, SimLink>()
  uploads!: Uploads
  serving!: Policy
  readonly world: World
  /** `cut`: the machine has lost its line, nobody was told. */
  state: 'off' | 'up' | 'dead' | 'cut' = 'off'
  /** Accepts requests and never sends a byte of a frame. */
  isMute = false
  isLiar = false
  readonly messages = new MessageCounts()
  /** Bytes handed to connections and not delivered yet. */
  committedBytes = 0
  bytesSentBefore = 0
  /** Of frames, needed or not. */
  bytesReceived = 0
  /** It takes so many times as long to load a frame. */
  slowTimes = 1

  constructor(world: World, id: string, role: 'seed' | 'agent', place: NodePlace) {
    this.world = world
    this.id = id
    this.role = role
    this.up = place.up
    this.down = place.down
    this.processor = place.processor
    this.rack = place.rack
    this.costs = world.options.costs
    this.watcher = world.watcher
    this.renew()
  }

  get bytesSent(): number {
    return this.bytesSentBefore + this.uploads.bytesSent
  }

  /** What `--location` would say. */
  get place(): string {
    return this.rack === undefined ? '' : `rack ${this.rack}`
  }

  get isUp(): boolean {
    return this.state === 'up'
  }

  abstract holding(id: ChunkId): Holding
  abstract holds(item: number): boolean
  abstract start(): void
  onPeer(link: SimLink): void {
    this.serving.located(link.peerId, link.place)
  }
  abstract onMessage(link: SimLink, message: Message): void
  abstract onPiece(link: SimLink, request: number, bytes: number): void

  onAwaited(_id: ChunkId, _class: RequestClass): void {}

  onGone(link: SimLink): void {
    this.uploads.gone(asLink(link))
    this.watcher.gone(this, link)
  }

  sent(message: WireMessage): void {
    this.messages.count(message.type, this.world.events.now)
    this.world.sent.set(message.type, (this.world.sent.get(message.type) ?? 0) + 1)
  }

  receive(link: SimLink, { parcel, bytes }: Unit): void {
    const { now } = this.world.events
    link.heardAt = now
    if (parcel.type !== 'ping' && parcel.type !== 'pong') link.usedAt = now
    if (parcel.type === 'piece') {
      this.bytesReceived += bytes - segmentHeadBytes
      this.onPiece(link, parcel.request, bytes)
    } else {
      this.messages.count(parcel.type, this.world.events.now)
      for (const message of messagesIn(parcel)) {
        if (!link.closed) this.onMessage(link, message)
      }
    }
  }

  /** From asking for a frame to having it. */
  loadMs(_item: number): number {
    return this.world.options.loadMs
  }

  /** The process dies and its connections with it, or the machine's line is cut. */
  fail(how: 'dead' | 'cut'): void {
    if (how === 'cut') {
      this.state = 'cut'
      return
    }
    this.state = 'dead'
    for (const link of [...this.links.values()]) {
      link.close()
      this.watcher.gone(this, link)
    }
  }

  /** Forgets what a process knows, not what lies on its disk. */
  protected renew(): void {
    const { world } = this
    this.bytesSentBefore += (this.uploads as Uploads | undefined)?.bytesSent ?? 0
    this.serving = world.makeServing(this)
    this.uploads = new Uploads({
      policy: this.serving,
      window: makeSendWindow(world.options.mechanisms),
      giving: world.options.mechanisms.lateBinding ? this.serving : undefined,
      source: {
        holding: id => this.holding(id),
        load: id => this.#load(id)
      },
      clock: { now: () => world.events.now },
      logger: silentLogger,
      // Everybody named has been here, so that its address is known.
      addressOf: peerId => ({ peerId, addresses: [] }),
      onAwaited: (id, requestClass) => this.onAwaited(id, requestClass),
      soon: run => run()
    })
  }

  /** A promise that virtual time keeps; the real ones know only real time. */
  #load(id: ChunkId): Promise<Frame> {
    const { world } = this
    const item = world.itemOf(id)
    const delayMs = this.loadMs(item) * this.slowTimes
    const loaded = this.watcher.loading(this, item)
    const promise = {
      catch: () => promise,
      then: (use: (frame: Frame) => void) => {
        world.events.after(delayMs, () => {
          loaded()
          use(world.frameOf(id))
        })
        return promise
      }
    }
    return promise as unknown as Promise<Frame>
  }

  protected serve(link: SimLink, message: Extract<Message, { type: 'want' }>): void {
    this.watcher.wanted(this, link, message)
    const seen = this.world.options.sabotage?.classSeen
    const known = seen === undefined ? message : { ...message, class: seen(message.class) }
    this.uploads.want(asLink(link), known)
  }
}

export function asLink(link: SimLink): Link {
  return link as unknown as Link
}
