import { limits } from '../../src/base/index.ts'
import type { Message } from '../../src/swarm/index.ts'
import { Fifo } from './fifo.ts'
import { messageBytes } from './message-bytes.ts'
import type { Network } from './network.ts'
import type { SimNode } from './sim-node.ts'

/** What travels: a message, or a piece of a frame. */
export type Parcel = Message | { readonly type: 'piece'; readonly request: number }

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
  /** Bytes that the other side has not got yet. */
  #committed = 0

  constructor(network: Network, owner: SimNode, peer: SimNode) {
    this.#network = network
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
    this.owner.sent(this, message)
    this.#push({ bytes: messageBytes(message), parcel: message })
  }

  sendAll(messages: readonly Message[]): void {
    for (const message of messages) this.send(message)
  }

  sendSegment(request: number, bytes: Uint8Array): void {
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
