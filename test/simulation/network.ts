import { limits } from '../../src/base/index.ts'
import { Door } from './door.ts'
import type { EventQueue } from './event-queue.ts'
import { Fifo } from './fifo.ts'
import { Port } from './port.ts'
import { SimLink, type Unit } from './sim-link.ts'
import type { SimNode } from './sim-node.ts'

export interface NetworkOptions {
  /** One way, any node to any node. */
  readonly latencyMs: number
  /** Bytes handed to one connection that nothing can overtake. */
  readonly socketBufferBytes: number
  /** The same over all connections of a node; 0 for no bound. */
  readonly nodeBufferBytes: number
  readonly burstBytes: number
  /** What may wait in a port, in ms of its rate. */
  readonly queueMs: number
  /** Share of a line's rate that is left for payload. */
  readonly payloadShare: number
  /** Machines in a rack; 0 for no racks. */
  readonly rackSize: number
  /** Rate of a rack's line to the others, each way. */
  readonly rackMbit: number
}

interface Rack {
  readonly up: Port
  readonly down: Port
}

/** The connections' turns at one node's line out. */
interface Uplink {
  readonly turns: Fifo<SimLink>
  /** When the unit that was sent last has left. */
  freeAt: number
  /** The next turn is arranged for. */
  awaited: boolean
}

type Dialled = (link: SimLink | undefined) => void

/** TCP, the encrypter and the hello take this many times there and back. */
const roundTripsToConnect = 3
/** The first packet of a unit follows its last one by no more than this. */
const packetBytes = 1_500

/** A switch that never blocks, lines that do, and connections that share them fairly. */
export class Network {
  readonly events: EventQueue
  readonly options: NetworkOptions
  #racks = new Map<number, Rack>()
  #uplinks = new Map<SimNode, Uplink>()
  #dials = new Map<string, Dialled[]>()
  #doors = new Map<SimNode, Door>()

  constructor(events: EventQueue, options: NetworkOptions) {
    this.events = events
    this.options = options
  }

  port(mbit: number): Port {
    const { payloadShare, burstBytes } = this.options
    return new Port(mbit * 125 * payloadShare, burstBytes)
  }

  /** Calls back with undefined when nobody answers. Joins a dial that is under way. */
  connect(from: SimNode, to: SimNode, done: Dialled): void {
    const known = from.links.get(to.id)
    if (known !== undefined) {
      done(known)
      return
    }
    const key = `${from.id} ${to.id}`
    const dialing = this.#dials.get(key)
    if (dialing !== undefined) {
      dialing.push(done)
      return
    }
    this.#dials.set(key, [done])
    const finish = (link: SimLink | undefined): void => {
      const waiting = this.#dials.get(key) ?? []
      this.#dials.delete(key)
      for (const tell of waiting) tell(link)
    }
    const { latencyMs } = this.options
    if (to.state !== 'up') {
      // A dead process refuses at once; a machine that was cut off says nothing.
      const delay = to.state === 'cut' ? limits.dialMs : 2 * latencyMs
      this.events.after(delay, () => finish(undefined))
      return
    }
    this.#doorOf(to).enter(leave => this.#shakeHands(from, to, leave, finish))
  }

  #shakeHands(from: SimNode, to: SimNode, leave: () => void, finish: Dialled): void {
    const { now } = this.events
    const { latencyMs } = this.options
    const { handshakeMs } = from.costs
    const ready = Math.max(
      from.processor.work(now, handshakeMs),
      to.processor.work(now + latencyMs, handshakeMs)
    )
    this.events.at(ready + roundTripsToConnect * 2 * latencyMs, () => {
      leave()
      finish(this.#join(from, to))
    })
  }

  #doorOf(node: SimNode): Door {
    const door = this.#doors.get(node) ?? new Door(limits.handshakesParallel)
    this.#doors.set(node, door)
    return door
  }

  disconnect(link: SimLink): void {
    if (link.closed) return
    const { other, owner } = link
    this.#end(link)
    // The far side learns of it unless the line is cut.
    if (owner.state !== 'cut' && other.owner.state !== 'cut') {
      this.events.after(this.options.latencyMs, () => this.#finish(other))
    }
  }

  /** The link has units to send, and had none. */
  pushed(link: SimLink): void {
    this.#queue(this.#uplinkOf(link.owner), link)
  }

  #join(from: SimNode, to: SimNode): SimLink | undefined {
    if (from.state !== 'up' || to.state !== 'up') return undefined
    const known = from.links.get(to.id)
    if (known !== undefined) return known
    const near = new SimLink(this, from, to)
    const far = new SimLink(this, to, from)
    near.other = far
    far.other = near
    from.links.set(to.id, near)
    to.links.set(from.id, far)
    to.onPeer(far)
    from.onPeer(near)
    return near.closed ? undefined : near
  }

  #end(link: SimLink): void {
    const { owner, peerId } = link
    link.ended()
    if (owner.links.get(peerId) !== link) return
    owner.links.delete(peerId)
    if (owner.state === 'up') owner.onGone(link)
  }

  #finish(link: SimLink): void {
    if (!link.closed) this.#end(link)
  }

  #uplinkOf(node: SimNode): Uplink {
    const known = this.#uplinks.get(node)
    if (known !== undefined) return known
    const uplink: Uplink = { turns: new Fifo(), freeAt: 0, awaited: false }
    this.#uplinks.set(node, uplink)
    return uplink
  }

  #goOn(uplink: Uplink): void {
    if (uplink.awaited || uplink.turns.length === 0) return
    if (uplink.freeAt <= this.events.now) {
      this.#transmit(uplink)
      return
    }
    uplink.awaited = true
    this.events.at(uplink.freeAt, () => {
      uplink.awaited = false
      this.#transmit(uplink)
    })
  }

  #queue(uplink: Uplink, link: SimLink): void {
    uplink.turns.push(link)
    this.#goOn(uplink)
  }

  /** One unit goes out; its link then takes its place behind the others. */
  #transmit(uplink: Uplink): void {
    const { now } = this.events
    const link = uplink.turns.shift()
    const roomAt = link === undefined ? now : this.#roomAt(link)
    if (link !== undefined && roomAt > now) {
      this.events.at(roomAt, () => this.#queue(uplink, link))
      this.#goOn(uplink)
      return
    }
    const unit = link?.units.shift()
    if (link !== undefined && unit !== undefined) {
      if (link.units.length > 0) uplink.turns.push(link)
      uplink.freeAt = link.owner.up.pass(now, unit.bytes)
      const arrivesAt = this.#arrival(link, unit, now, uplink.freeAt)
      this.events.at(arrivesAt, () => this.#arrive(link, unit))
    }
    this.#goOn(uplink)
  }

  /**
   * When the ports on the link's way have room. TCP finds that out by losing packets; here the link
   * waits at its sender and loses nothing.
   */
  #roomAt(link: SimLink): number {
    const to = link.other.owner
    let freeAt = to.down.freeAt
    const from = this.#rackOf(link.owner)
    const into = this.#rackOf(to)
    if (from !== into) freeAt = Math.max(freeAt, from?.up.freeAt ?? 0, into?.down.freeAt ?? 0)
    return freeAt - this.options.queueMs
  }

  /** Bytes flow through every line on the way at once; the slowest or fullest decides. */
  #arrival(link: SimLink, unit: Unit, now: number, outAt: number): number {
    const { latencyMs } = this.options
    const to = link.other.owner
    const first = now + latencyMs + Math.min(packetBytes, unit.bytes) / link.owner.up.bytesPerMs
    let last = outAt + latencyMs
    const from = this.#rackOf(link.owner)
    const into = this.#rackOf(to)
    if (from !== into) {
      if (from !== undefined) last = Math.max(last, from.up.pass(first, unit.bytes))
      if (into !== undefined) last = Math.max(last, into.down.pass(first, unit.bytes))
    }
    const tail = Math.min(packetBytes, unit.bytes) / to.down.bytesPerMs
    // What is sent later over a connection never comes sooner, however small it is.
    link.arrivesAt = Math.max(link.arrivesAt, to.down.pass(first, unit.bytes), last + tail)
    return link.arrivesAt
  }

  #arrive(link: SimLink, unit: Unit): void {
    const { other, owner } = link
    const to = other.owner
    if (owner.state === 'cut' || to.state === 'cut') return
    link.delivered(unit)
    if (other.closed || to.state !== 'up') return
    const { messageMs, megabyteMs } = to.costs
    const cost = messageMs + (megabyteMs * unit.bytes) / 1e6
    this.events.at(to.processor.work(this.events.now, cost), () => {
      if (other.closed || to.state !== 'up') return
      to.receive(other, unit)
    })
  }

  /** Bytes that went through the racks' lines into each of them, and out of each, by rack. */
  rackBytes(): Map<number, { into: number; outOf: number }> {
    return new Map(
      [...this.#racks].map(([n, { up, down }]) => [n, { into: down.bytes, outOf: up.bytes }])
    )
  }

  #rackOf(node: SimNode): Rack | undefined {
    const { rackSize, rackMbit } = this.options
    if (rackSize === 0 || node.rack === undefined) return undefined
    const known = this.#racks.get(node.rack)
    if (known !== undefined) return known
    const rack = { up: this.port(rackMbit), down: this.port(rackMbit) }
    this.#racks.set(node.rack, rack)
    return rack
  }
}
