import { limits } from '../../src/base/index.ts'
import { Outbox } from '../../src/swarm/outbox.ts'
import type { Message, WireMessage } from '../../src/swarm/messages.ts'
import { Fifo } from './fifo.ts'
import { messageBytes } from './message-bytes.ts'
import type { Network } from './network.ts'
import type { SimNode } from './sim-node.ts'

/** What travels: a message, or a piece of a frame. */
export type Parcel = WireMessage | { readonly type: 'piece'; readonly request: number }

export interface Unit {
  readonly bytes: number
  readonly parcel: Parcel
}

/**
 * One end of a connection; has what `Uploads` and `Introductions` use of the real `Link`. What was
 * handed to it goes in order and cannot be overtaken, until the other side has it.
 */
export class SimLink {
  readonly peerId: string
  readonly owner: SimNode
  readonly certificate: { readonly role: 'seed' | 'agent'; readonly name: string }
  /** In which rack the peer is. */
  readonly place: string
  other!: SimLink
  closed = false
  heardAt = 0
  /** When the last of its units comes at the other side. */
  arrivesAt = 0
  /** When it served for anything but to see whether the other side lives. */
  usedAt = 0
  readonly units = new Fifo<Unit>()
  #network: Network
  #outbox = new Outbox()
  /** Bytes that the other side has not got yet. */
  #committed = 0

  constructor(network: Network, owner: SimNode, peer: SimNode) {
    this.#network = network
    this.#outbox.takesLists = true
    this.owner = owner
    this.peerId = peer.id
    this.certificate = { role: peer.role, name: peer.id }
    this.place = peer.place
    this.heardAt = network.events.now
    this.usedAt = network.events.now
  }

  get writable(): boolean {
    const { socketBufferBytes, nodeBufferBytes } = this.#network.options
    const room =
      this.#committed < socketBufferBytes &&
      (nodeBufferBytes === 0 || this.owner.committedBytes < nodeBufferBytes)
    return room && !this.closed && !this.owner.isMute
  }

  send(message: Message): void {
    this.owner.watcher.sent(this, message)
    const wasEmpty = this.#outbox.isEmpty
    for (const due of this.#outbox.put(message)) this.#write(due)
    // What happens at one moment of virtual time is one turn of the event loop.
    if (wasEmpty && !this.#outbox.isEmpty) this.#network.events.after(0, () => this.#empty())
  }

  sendAll(messages: readonly Message[]): void {
    for (const message of messages) this.send(message)
  }

  sendSegment(request: number, bytes: Uint8Array): void {
    this.#empty()
    this.owner.watcher.sentSegment(this, request, bytes.length)
    this.#push({ bytes: bytes.length + segmentHeadBytes, parcel: { type: 'piece', request } })
  }

  close(): void {
    this.#network.disconnect(this)
  }

  delivered(unit: Unit): void {
    if (this.closed) return
    this.#committed -= unit.bytes
    this.owner.committedBytes -= unit.bytes
    if (this.owner.isUp) this.owner.uploads.writable()
  }

  /** What was handed to it and has not been delivered never will be. */
  ended(): void {
    this.closed = true
    this.owner.committedBytes -= this.#committed
    this.#committed = 0
    this.units.clear()
  }

  #empty(): void {
    const rest = this.#outbox.take()
    if (rest !== undefined) this.#write(rest)
  }

  #write(message: WireMessage): void {
    this.owner.sent(message)
    this.#push({ bytes: messageBytes(message), parcel: message })
  }

  #push(unit: Unit): void {
    if (this.closed || !this.owner.isUp) return
    this.#committed += unit.bytes
    this.owner.committedBytes += unit.bytes
    this.units.push(unit)
    if (this.units.length === 1) this.#network.pushed(this)
  }
}

/** Length, type and request number of a segment (docs/swarm-wire.md), and the encrypter's share. */
export const segmentHeadBytes = 9 + 19
export const pieceBytesMax = limits.segmentBytes
