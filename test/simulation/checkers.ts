import type { RequestClass } from '../../src/base/index.ts'
import type { Message } from '../../src/swarm/index.ts'
import type { RefusalReason } from '../../src/swarm/wire.ts'
import { AgentNode } from './agent-node.ts'
import type { SimLink } from './sim-link.ts'
import type { SimNode } from './sim-node.ts'
import type { Watcher } from './watcher.ts'
import type { World } from './world.ts'

export type Rule =
  'completes' | 'urgent-first' | 'no-cycle' | 'seed-bounded' | 'not-forever' | 'served-soon'

export interface Violation {
  readonly rule: Rule
  readonly atMs: number
  readonly what: string
}

/** A chunk that a node sends or is going to. */
interface Served {
  readonly link: SimLink
  readonly item: number
  class: RequestClass
  isLoading: boolean
  /** Its frame is in memory: nothing but the link holds it back. */
  isLoaded: boolean
  bytesLeft: number
}

/** A request of a node's own. */
interface Asked {
  readonly peer: string
  movedAt: number
  waiting: boolean
}

/** `node item` → when it was seen first that somebody else has the item. */
type Obtainable = Map<string, number>

export const unservedMs = 2_000
const lookMs = 250
/** Refusals of one item by one peer that says each time that it has not got it. */
const refusalsMax = 8
const violationsMax = 20

/** Watches a lab for what must never happen, and counts what it sends. */
export class Checkers implements Watcher {
  readonly violations: Violation[] = []
  violationCount = 0
  /** The longest that any request stood still at a machine of full speed while a peer held its chunk. */
  stillMsMax = 0
  /** Bytes of boot-set chunks that seeds sent. */
  seedBootBytes = 0
  #world: World
  #served = new Map<SimLink, Map<number, Served>>()
  /** What stood still at the last look while a peer had it: since when a peer has. */
  #obtainable: Obtainable = new Map()
  #newest = new WeakMap<SimLink, number>()
  /** Node → item → who asks it for the item. */
  #open = new Map<SimNode, Map<number, Set<Served>>>()
  #urgent = new Map<SimNode, Set<Served>>()
  #asked = new Map<SimNode, Map<number, Asked>>()
  #refusals = new Map<string, number>()
  #reported = new Set<string>()

  constructor(world: World) {
    this.#world = world
    const look = (): void => {
      this.#look()
      world.events.after(lookMs, look)
    }
    world.events.after(lookMs, look)
  }

  wanted(node: SimNode, link: SimLink, want: Extract<Message, { type: 'want' }>): void {
    const served = this.#served.get(link) ?? new Map<number, Served>()
    this.#served.set(link, served)
    const known = served.get(want.request)
    // A change of class that crossed the answer is no request.
    if (known === undefined && want.request <= (this.#newest.get(link) ?? -1)) return
    if (known === undefined) this.#newest.set(link, want.request)
    const item = this.#world.itemOf(want.id)
    const now: Served = known ?? {
      link,
      item,
      class: want.class,
      isLoading: false,
      isLoaded: false,
      bytesLeft: -1
    }
    now.class = want.class
    served.set(want.request, now)
    const open = this.#openFor(node)
    open.set(item, (open.get(item) ?? new Set()).add(now))
    if (want.class === 'urgent') this.#urgentOf(node).add(now)
    else this.#urgentOf(node).delete(now)
  }

  sent(link: SimLink, message: Message): void {
    if (!('request' in message)) return
    const served = this.#served.get(link)?.get(message.request)
    if (served === undefined) return
    if (message.type === 'frame') {
      served.bytesLeft = message.frameLength
      this.#countBootBytes(link.owner, served.item, message.frameLength)
    }
    if (message.type === 'refuse' || message.type === 'redirect') this.#over(link, message.request)
  }

  /** Of several that ask for it, it is loaded for the most urgent that it is not loaded for yet. */
  loading(node: SimNode, item: number): () => void {
    const waiting = [...(this.#openFor(node).get(item) ?? [])].filter(served => !served.isLoading)
    const first = waiting.find(served => served.class === 'urgent') ?? waiting[0]
    if (first === undefined) return () => {}
    first.isLoading = true
    return () => (first.isLoaded = true)
  }

  sentSegment(link: SimLink, request: number, bytes: number): void {
    const served = this.#served.get(link)?.get(request)
    if (served === undefined) return
    if (served.class !== 'urgent') this.#expectNoUrgent(link.owner, served.item)
    served.bytesLeft -= bytes
    if (served.bytesLeft === 0) this.#over(link, request)
  }

  gone(node: SimNode, link: SimLink): void {
    for (const served of this.#served.get(link)?.values() ?? []) this.#close(node, served)
    this.#served.delete(link)
    const asked = this.#askedBy(node)
    for (const [item, { peer }] of asked) if (peer === link.peerId) asked.delete(item)
  }

  asked(node: SimNode, peer: string, item: number): void {
    const asked = this.#askedBy(node)
    if (asked.get(item)?.peer === peer) return
    asked.set(item, { peer, movedAt: this.#world.events.now, waiting: false })
  }

  accepted(node: SimNode, peer: string, item: number, waiting: boolean): void {
    const request = this.#askedBy(node).get(item)
    if (request === undefined || request.peer !== peer) return
    request.waiting = waiting
    if (waiting) this.#expectNoCycle(node, item)
  }

  refused(node: SimNode, peer: string, item: number, reason: RefusalReason): void {
    this.released(node, item)
    if (reason !== 'not-held') return
    const key = `${node.id} asks ${peer} for ${item}`
    const count = (this.#refusals.get(key) ?? 0) + 1
    this.#refusals.set(key, count)
    if (count > refusalsMax) this.#report('not-forever', key)
  }

  moved(node: SimNode, item: number): void {
    const request = this.#askedBy(node).get(item)
    if (request !== undefined) request.movedAt = this.#world.events.now
  }

  released(node: SimNode, item: number): void {
    this.#askedBy(node).delete(item)
  }

  /** At the end: whoever is up must have what the survivors together have. */
  expectCompletion(node: AgentNode, done: boolean): void {
    if (!done) this.#report('completes', `${node.id} has ${node.heldCount} items and is not done`)
  }

  expectSeedBytes(bytes: number, most: number): void {
    if (bytes > most) this.#report('seed-bounded', `the seeds sent ${bytes} bytes, allowed ${most}`)
  }

  #expectNoUrgent(node: SimNode, item: number): void {
    for (const { link, item: urgent, isLoaded } of this.#urgentOf(node)) {
      if (!isLoaded || link.closed || !link.writable) continue
      this.#report(
        'urgent-first',
        `${node.id} sent ${item} while ${link.peerId} waited for ${urgent}`
      )
    }
  }

  #expectNoCycle(node: SimNode, item: number): void {
    const seen = new Set<SimNode>()
    let current: SimNode | undefined = node
    while (current !== undefined && !seen.has(current)) {
      seen.add(current)
      const request = this.#askedBy(current).get(item)
      if (request === undefined || !request.waiting) return
      current = this.#world.node(request.peer)
    }
    const names = [...seen].map(({ id }) => id).join(' > ')
    if (current !== undefined) this.#report('no-cycle', `${item}: ${names} > ${current.id}`)
  }

  #look(): void {
    const before = this.#obtainable
    this.#obtainable = new Map()
    for (const node of this.#world.nodes.values()) {
      if (!(node instanceof AgentNode) || !node.isUp || this.#isSlow(node)) continue
      const reads = node.reader.waiting
      for (const [item, request] of this.#askedBy(node)) {
        this.#judge(node, item, request.movedAt, before)
      }
      for (const item of reads.items) {
        if (!this.#askedBy(node).has(item)) this.#judge(node, item, reads.since, before)
      }
    }
  }

  /** An item has stood still since it moved last, and since somebody could be asked for it. */
  #judge(node: AgentNode, item: number, movedAt: number, before: Obtainable): void {
    const { now } = this.#world.events
    if (now - movedAt < lookMs || !this.#isReachable(node, item)) return
    const key = `${node.id} ${item}`
    const obtainableAt = before.get(key) ?? now
    this.#obtainable.set(key, obtainableAt)
    const still = now - Math.max(movedAt, obtainableAt)
    this.stillMsMax = Math.max(this.stillMsMax, still)
    if (still > unservedMs) this.#report('served-soon', `${item} at ${node.id}`)
  }

  /** A machine on a bad line waits for its own line. */
  #isSlow(node: SimNode): boolean {
    return node.isMute || node.isLiar || node.down.bytesPerMs < 1_000
  }

  #isReachable(node: SimNode, item: number): boolean {
    for (const other of this.#world.nodes.values()) {
      if (other === node || !other.isUp || this.#isSlow(other)) continue
      if (other.holds(item)) return true
    }
    return false
  }

  #countBootBytes(node: SimNode, item: number, bytes: number): void {
    if (node.role === 'seed' && this.#world.image.bootSet.has(item)) this.seedBootBytes += bytes
  }

  #over(link: SimLink, request: number): void {
    const served = this.#served.get(link)
    const known = served?.get(request)
    served?.delete(request)
    if (known !== undefined) this.#close(link.owner, known)
  }

  #close(node: SimNode, served: Served): void {
    this.#urgentOf(node).delete(served)
    const open = this.#openFor(node)
    const asking = open.get(served.item)
    asking?.delete(served)
    if (asking?.size === 0) open.delete(served.item)
  }

  #openFor(node: SimNode): Map<number, Set<Served>> {
    const known = this.#open.get(node)
    if (known !== undefined) return known
    const made = new Map<number, Set<Served>>()
    this.#open.set(node, made)
    return made
  }

  #urgentOf(node: SimNode): Set<Served> {
    const known = this.#urgent.get(node)
    if (known !== undefined) return known
    const made = new Set<Served>()
    this.#urgent.set(node, made)
    return made
  }

  #askedBy(node: SimNode): Map<number, Asked> {
    const known = this.#asked.get(node)
    if (known !== undefined) return known
    const made = new Map<number, Asked>()
    this.#asked.set(node, made)
    return made
  }

  /** The same thing going wrong again and again is one violation. */
  #report(rule: Rule, what: string): void {
    const key = `${rule} ${what}`
    if (this.#reported.has(key)) return
    this.#reported.add(key)
    this.violationCount += 1
    if (this.violations.length >= violationsMax) return
    this.violations.push({ rule, atMs: this.#world.events.now, what })
  }
}
