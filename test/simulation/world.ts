import {
  seededRandom,
  type ChunkId,
  type Frame,
  type Random,
  type RequestClass,
  type Timers
} from '../../src/base/index.ts'
import { Fetching, Serving, type Mechanisms } from '../../src/scheduler/index.ts'
import type { AgentNode } from './agent-node.ts'
import { EventQueue } from './event-queue.ts'
import { Network, type NetworkOptions } from './network.ts'
import type { Costs } from './processor.ts'
import type { MessageType } from './message-counts.ts'
import type { SimImage } from './sim-image.ts'
import type { SimLink } from './sim-link.ts'
import type { Policy, SimNode } from './sim-node.ts'
import type { Watcher } from './watcher.ts'

/** Policies that are broken on purpose, to see that the checkers notice. */
export interface Sabotage {
  /** The class that a node believes a request to have. */
  readonly classSeen?: (requestClass: RequestClass) => RequestClass
  readonly serving?: (real: Policy, role: 'seed' | 'agent') => Policy
  readonly fetching?: (real: Fetching) => Fetching
}

export interface WorldOptions extends NetworkOptions {
  /** Everything that is random comes of it. */
  readonly seed: number
  readonly workload: 'copy' | 'replay'
  readonly costs: Costs
  /** Share of the boot profile that is right; 0 for no profile. */
  readonly profile: number
  /** 0: nothing is streamed but what is read. */
  readonly background: number
  /** After this long without a byte an item is asked of another peer; 0 for the product's own. */
  readonly fallbackMs: number
  /** From asking the store or the relay cache to having a frame. */
  readonly loadMs: number
  /** What NBD and the disk add to a read. */
  readonly localReadMs: number
  readonly mechanisms: Mechanisms
  readonly sabotage?: Sabotage
}

/** The one image that everybody works on. */
export const imageId: ChunkId = 'image'

/** What all nodes of one simulation share. */
export class World {
  readonly events = new EventQueue()
  /** Virtual time, for the product's own code. */
  readonly timers: Timers = {
    now: () => this.events.now,
    after: (delayMs, run) => {
      let isOff = false
      this.events.after(delayMs, () => {
        if (!isOff) run()
      })
      return () => {
        isOff = true
      }
    }
  }
  readonly network: Network
  readonly options: WorldOptions
  readonly image: SimImage
  readonly watcher: Watcher
  readonly items: readonly number[]
  /** The order in which a boot touches chunks, as far as it is known. */
  readonly profile: readonly number[]
  readonly nodes = new Map<string, SimNode>()
  /** Sent by anybody, by type. */
  readonly sent = new Map<MessageType, number>()
  onDone: (node: AgentNode) => void = () => {}
  #ids: ChunkId[]
  #frames: Frame[]
  #seedIds: string[] = []

  constructor(options: WorldOptions, image: SimImage, watcher: (world: World) => Watcher) {
    this.options = options
    this.image = image
    this.network = new Network(this.events, options)
    this.items = Array.from({ length: image.itemCount }, (_, item) => item)
    this.#ids = this.items.map(String)
    const zeros = Buffer.alloc(Math.max(...image.frameBytes))
    this.#frames = Array.from(image.frameBytes, length => ({
      encoding: 'zstd',
      plainLength: zeros.length,
      bytes: zeros.subarray(0, length)
    }))
    this.profile = this.#makeProfile()
    this.watcher = watcher(this)
  }

  add(node: SimNode): void {
    this.nodes.set(node.id, node)
    if (node.role === 'seed') this.#seedIds.push(node.id)
  }

  node(id: string): SimNode | undefined {
    return this.nodes.get(id)
  }

  seedIds(): readonly string[] {
    return this.#seedIds
  }

  connect(from: SimNode, to: string, done: (link: SimLink | undefined) => void): void {
    const node = this.nodes.get(to)
    if (node === undefined) done(undefined)
    else this.network.connect(from, node, done)
  }

  idOf(item: number): ChunkId {
    return this.#ids[item] ?? ''
  }

  itemOf(id: ChunkId): number {
    return Number(id)
  }

  frameBytes(item: number): number {
    return this.image.frameBytes[item] ?? 0
  }

  frameOf(id: ChunkId): Frame {
    const frame = this.#frames[Number(id)]
    if (frame === undefined) throw new Error(`no item has the id ${id}`)
    return frame
  }

  /** One stream of numbers for each purpose, so that one more draw here changes nothing there. */
  randomOf(purpose: string): Random {
    let hash = this.options.seed
    for (let at = 0; at < purpose.length; at += 1) {
      hash = Math.imul(hash ^ purpose.charCodeAt(at), 0x01000193) >>> 0
    }
    const random = seededRandom(hash)
    random.next()
    return random
  }

  #makeProfile(): number[] {
    const { profile } = this.options
    if (profile === 0) return []
    const random = this.randomOf('profile')
    const other = (): number => Math.floor(random.next() * this.image.itemCount)
    return Array.from(this.image.bootSet, item => (random.next() < profile ? item : other()))
  }

  makeServing(node: SimNode): Policy {
    const real = new Serving(node.role, this.options.mechanisms, node.place)
    return this.options.sabotage?.serving?.(real, node.role) ?? real
  }

  makeFetching(node: SimNode): Fetching {
    const random = this.randomOf(`${node.id} fetching`)
    const { mechanisms, fallbackMs } = this.options
    const { itemCount } = this.image
    const real = new Fetching({
      itemCount,
      random,
      mechanisms,
      self: node.id,
      ...(fallbackMs > 0 ? { fallbackMs } : {})
    })
    return this.options.sabotage?.fetching?.(real) ?? real
  }
}
