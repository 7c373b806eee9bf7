import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { BootswarmError, limits, type Logger, type SigningKey } from '../base/index.ts'
import { openCertificate } from './certificate.ts'
import { Discovery, type DiscoveryInit } from './discovery.ts'
import { answerEnrolment, askToEnrol, type Enroller } from './enrolment.ts'
import { Link } from './link.ts'
import { peerIdOf, startNode, type Encryption } from './node.ts'
import { Patience } from './patience.ts'
import { placeOf } from './place.ts'
import type { Ticket } from './ticket.ts'
import {
  enrolProtocol,
  peerProtocol,
  protocolVersion,
  type Message,
  type PeerAddress
} from './wire.ts'

export interface SwarmHandlers {
  /** A peer has shown its certificate; `link.certificate` is set. */
  onPeer(link: Link): void
  /** Never called before `onPeer` or after `onGone` of that link. */
  onMessage(link: Link, message: Message): void
  onWritable(link: Link): void
  onGone(link: Link, error: Error | undefined): void
}

export interface SwarmInit {
  readonly key: SigningKey
  readonly labKey: Uint8Array
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[]
  readonly handlers: SwarmHandlers
  readonly logger: Logger
  /** Only seeds enrol machines. */
  readonly enrol?: Enroller
  readonly encryption?: Encryption
  /** Where this node is, as it tells its peers; see `isLocation`. */
  readonly location?: string | undefined
}

/** The libp2p node and the links to all peers that belong to this lab: at most one link a peer. */
export class Swarm {
  readonly peerId: string
  #init: SwarmInit
  #node: Libp2p
  #certificate: Uint8Array | undefined
  #links = new Map<string, Link>()
  #dials = new Map<string, Promise<Link>>()
  readonly #patience = new Patience(limits.dialMs)
  readonly #patienceToEnrol = new Patience(limits.enrolMs)
  /** Connections that a link has come of; the link closes its own. */
  #linked = new WeakSet<Connection>()
  /** Addresses that peers said they listen on. */
  #addresses = new Map<string, readonly string[]>()
  #stopped = false
  #discovery: Discovery | undefined

  static async start(init: SwarmInit): Promise<Swarm> {
    const node = await startNode(init.key, init.listen, init.encryption)
    const swarm = new Swarm(init, node)
    await swarm.#register()
    return swarm
  }

  private constructor(init: SwarmInit, node: Libp2p) {
    this.#init = init
    this.#node = node
    this.peerId = peerIdOf(init.key)
  }

  /** Until it is set, peers are refused: there is nothing to show them. */
  set certificate(bytes: Uint8Array) {
    this.#certificate = bytes
  }

  /** Multiaddrs with this peer's id, wildcards expanded to the host's addresses. */
  addresses(): string[] {
    return this.#node.getMultiaddrs().map(address => address.toString())
  }

  links(): Link[] {
    return [...this.#links.values()]
  }

  link(peerId: string): Link | undefined {
    return this.#links.get(peerId)
  }

  addressOf(peerId: string): PeerAddress | undefined {
    const addresses = this.#addresses.get(peerId)
    return addresses === undefined ? undefined : { peerId, addresses }
  }

  /** Connects and waits for the peer's certificate. Joins a dial that is under way. */
  async connect(peer: PeerAddress): Promise<Link> {
    const known = this.#links.get(peer.peerId)
    if (known !== undefined) return known
    const dialing = this.#dials.get(peer.peerId)
    if (dialing !== undefined) return dialing
    const dial = this.#dial(peer).finally(() => this.#dials.delete(peer.peerId))
    this.#dials.set(peer.peerId, dial)
    return dial
  }

  /** Gets a certificate from a seed of the ticket, at the first of its addresses that answers. */
  enrol(addresses: readonly string[], ticket: Ticket, name: string): Promise<Uint8Array> {
    return this.#patienceToEnrol.within(addresses.join(), signal =>
      this.#enrolWithin(addresses, ticket, name, signal)
    )
  }

  async #enrolWithin(
    addresses: readonly string[],
    ticket: Ticket,
    name: string,
    signal: AbortSignal
  ): Promise<Uint8Array> {
    const seed = addresses.map(address => multiaddr(address))
    const connection = await this.#node.dial(seed, { signal, force: true })
    try {
      const stream = await connection.newStream(enrolProtocol, { signal })
      return await askToEnrol(stream, connection, ticket, name)
    } finally {
      await connection.close({ signal: AbortSignal.timeout(limits.closeMs) }).catch(() => {})
    }
  }

  /** Answers machines on this network that look for a seed of the lab. */
  async announce(): Promise<void> {
    await this.#discovery?.stop()
    this.#discovery = this.#newDiscovery({ addresses: () => this.#node.getMultiaddrs() })
    await this.#discovery.start()
  }

  /** Asks the network for seeds of the lab, again and again, until `stopDiscovering`. */
  async discover(onFound: (peer: PeerAddress) => void): Promise<void> {
    if (this.#discovery !== undefined || this.#stopped) return
    this.#discovery = this.#newDiscovery({ onFound })
    await this.#discovery.start()
  }

  async stopDiscovering(): Promise<void> {
    const discovery = this.#discovery
    this.#discovery = undefined
    await discovery?.stop()
  }

  #newDiscovery(way: Pick<DiscoveryInit, 'addresses' | 'onFound'>): Discovery {
    return new Discovery({ labKey: this.#init.labKey, logger: this.#node.logger, ...way })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.stopDiscovering()
    for (const link of this.links()) link.close()
    await this.#node.stop()
  }

  async #register(): Promise<void> {
    this.#node.addEventListener('connection:open', ({ detail }) => this.#expectLink(detail))
    const options = { maxInboundStreams: limits.streamsPerConnectionMax }
    await this.#node.handle(
      peerProtocol,
      (stream, connection) => {
        this.#greet(stream, connection).catch((error: unknown) => {
          this.#init.logger.debug('a peer was not let in', { error: String(error) })
        })
      },
      options
    )
    const { enrol } = this.#init
    if (enrol === undefined) return
    await this.#node.handle(
      enrolProtocol,
      async (stream, connection) => {
        if (this.#certificate === undefined) throw noCertificate()
        await answerEnrolment(stream, connection, this.#certificate, enrol)
      },
      options
    )
  }

  #dial(peer: PeerAddress): Promise<Link> {
    return this.#patience.within(peer.peerId, signal => this.#dialWithin(peer, signal))
  }

  async #dialWithin(peer: PeerAddress, signal: AbortSignal): Promise<Link> {
    // A link ends with its connection, so each has one of its own: libp2p would hand out the one
    // that the peer is just opening from its side.
    const connection = await this.#node.dial(dialable(peer), { signal, force: true })
    const stream = await openStream(connection, peer.peerId, signal)
    return this.#greet(stream, connection)
  }

  /** A stranger that connects and then asks for nothing would hold the connection for ever. */
  #expectLink(connection: Connection): void {
    if (connection.direction === 'outbound') return
    const late = setTimeout(() => {
      if (!this.#linked.has(connection)) connection.abort(new Error('no link came of it in time'))
    }, limits.enrolMs)
    late.unref()
  }

  /** Both sides say hello at once; whoever sends anything else first, or too late, is cut off. */
  #greet(stream: Stream, connection: Connection): Promise<Link> {
    const link = new Link(stream, connection)
    this.#linked.add(connection)
    return new Promise<Link>((resolve, reject) => {
      const late = setTimeout(() => {
        link.close(untrusted(link, 'it did not show its certificate in time'))
      }, limits.helloMs)
      link.open({
        onMessage: message => {
          if (link.certificate !== undefined) {
            if (this.#links.get(link.peerId) === link) this.#init.handlers.onMessage(link, message)
            return
          }
          clearTimeout(late)
          this.#welcome(link, message, resolve)
        },
        onWritable: () => this.#init.handlers.onWritable(link),
        onClose: error => {
          clearTimeout(late)
          const rival = this.#links.get(link.peerId)
          // Of two dials that crossed, the peer closes the one that it does not keep.
          if (rival !== undefined && rival !== link) resolve(rival)
          else reject(error ?? untrusted(link, 'it hung up'))
          this.#gone(link, error)
        }
      })
      if (this.#certificate === undefined || this.#stopped) {
        link.close(noCertificate())
        return
      }
      link.send({
        type: 'hello',
        version: protocolVersion,
        certificate: this.#certificate,
        listen: this.addresses().slice(0, limits.addressesPerPeerMax),
        location: this.#init.location,
        lists: true
      })
    })
  }

  /** Throws what the link shall be closed with. */
  #welcome(link: Link, message: Message, resolve: (link: Link) => void): void {
    if (message.type !== 'hello') throw untrusted(link, `it began with ${message.type}`)
    if (message.version !== protocolVersion) {
      const older = message.version < protocolVersion ? 'that peer' : 'this machine'
      throw new BootswarmError(
        'ERR_FORMAT_VERSION',
        `peer ${link.peerId} speaks protocol ${message.version}, this bootswarm ${protocolVersion}: upgrade ${older}`
      )
    }
    link.certificate = openCertificate(this.#init.labKey, link.peerId, message.certificate)
    link.place = placeOf(message.location, link.remoteAddress)
    link.takesLists = message.lists === true
    this.#addresses.set(link.peerId, message.listen)
    const rival = this.#links.get(link.peerId)
    if (rival !== undefined && !this.#replaces(link, rival)) {
      resolve(rival)
      link.close()
      return
    }
    this.#links.set(link.peerId, link)
    resolve(link)
    if (rival !== undefined) {
      rival.close()
      this.#init.handlers.onGone(rival, undefined)
    }
    this.#init.handlers.onPeer(link)
  }

  /**
   * Two dials may cross: both sides then keep the one that the smaller peer id made. Of two dials by
   * the same side the newer counts, since a machine that was restarted does not know of the older.
   */
  #replaces(link: Link, rival: Link): boolean {
    if (link.dialed === rival.dialed) return true
    return link.dialed === this.peerId < link.peerId
  }

  #gone(link: Link, error: Error | undefined): void {
    if (error !== undefined) {
      this.#init.logger.debug('a link has ended', { peer: link.peerId, why: error.message })
    }
    if (this.#links.get(link.peerId) !== link) return
    this.#links.delete(link.peerId)
    this.#init.handlers.onGone(link, error)
  }
}

/** Leaves no connection behind that nothing will come of. */
async function openStream(
  connection: Connection,
  peerId: string,
  signal: AbortSignal
): Promise<Stream> {
  try {
    if (connection.remotePeer.toString() !== peerId) {
      throw new BootswarmError('ERR_PEER_UNTRUSTED', `another peer answers for ${peerId}`)
    }
    return await connection.newStream(peerProtocol, { signal })
  } catch (cause) {
    connection.abort(new Error('no link came of the dial', { cause }))
    throw cause
  }
}

function dialable(peer: PeerAddress): Multiaddr[] {
  const addresses = peer.addresses.flatMap(text => {
    try {
      const address = multiaddr(text)
      const named = address.getComponents().some(part => part.name === 'p2p')
      return [named ? address : address.encapsulate(`/p2p/${peer.peerId}`)]
    } catch {
      // A peer's list may hold what this version does not understand; the rest may do.
      return []
    }
  })
  if (addresses.length > 0) return addresses
  throw new BootswarmError('ERR_PEER_PROTOCOL', `no address of peer ${peer.peerId} can be dialled`)
}

function untrusted(link: Link, why: string): BootswarmError {
  return new BootswarmError('ERR_PEER_UNTRUSTED', `peer ${link.peerId} is not let in: ${why}`)
}

function noCertificate(): BootswarmError {
  return new BootswarmError('ERR_PEER_UNTRUSTED', 'this node has no certificate to show yet')
}
