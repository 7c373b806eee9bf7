import { setTimeout as sleep } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { BootswarmError, limits, messageOf, ownMachineIds, type Logger } from '../base/index.ts'
import type { Link, PeerAddress, Swarm, Ticket } from '../swarm/index.ts'
import { Neighbours } from './neighbours.ts'
import { Reminder } from './reminder.ts'

export interface MembershipInit {
  readonly swarm: Swarm
  readonly ticket: Ticket
  readonly name: string
  /** What the certificate says that it is called, if that is something else. */
  readonly formerName?: string | undefined
  /** Hardware addresses and UUID of this machine. */
  readonly machineIds?: readonly string[]
  readonly logger: Logger
  /** From an earlier start, if any. */
  readonly certificate: Uint8Array | undefined
  readonly peers: readonly PeerAddress[]
  onCertified(certificate: Uint8Array): void
  /** The lab has signed no other name than that of the certificate. */
  onNameKept?(name: string, why: string): void
  /** A peer that was connected for an errand is one to exchange news with from now on. */
  onNeighbour(link: Link): void
  /** Nobody can be reached; called again, less and less often, while that lasts. */
  onAlone(seeds: readonly string[], why: string): void
}

/** Failures that trying again does not mend: they are the user's to act upon. */
const finalCodes = new Set([
  ...['ERR_TICKET_INVALID', 'ERR_TICKET_USED', 'ERR_PEER_UNTRUSTED', 'ERR_FORMAT_VERSION']
])
const retryMsMin = 200
const retryMsMax = 5_000
const aloneMs = 2_000
const aloneSaidMsMax = 120_000
/** One that does not answer holds up nobody else: the next round begins after this. */
const roundMs = 1_000

/**
 * Keeps this machine in the swarm: gets its certificate once, then connects to the seeds and to a
 * few peers, again and again, for as long as it runs. Peers of an earlier start will do when every
 * seed is dead.
 */
export class Membership {
  #init: MembershipInit
  #neighbours = new Neighbours<PeerAddress>()
  #seeds: readonly PeerAddress[]
  /** Seeds of the ticket come first, then so many that the network has named. */
  #found = 0
  #stop = new AbortController()
  #certified: boolean
  readonly #startedAt = performance.now()
  #lastFailure = 'no answer'
  readonly #alone = new Reminder(aloneMs, aloneSaidMsMax)

  constructor(init: MembershipInit) {
    this.#init = init
    this.#seeds = seedsOf(init.ticket)
    this.#certified = init.certificate !== undefined
    if (init.certificate !== undefined) init.swarm.certificate = init.certificate
    for (const peer of init.peers) this.learn(peer)
  }

  /** Peers worth remembering across a restart: those connected now first. */
  peers(): PeerAddress[] {
    const { swarm } = this.#init
    const linked = swarm.links().flatMap(link => swarm.addressOf(link.peerId) ?? [])
    const others = this.#neighbours.all().filter(peer => swarm.link(peer.peerId) === undefined)
    return [...linked, ...others].slice(0, limits.peersIntroducedMax)
  }

  /** A peer that somebody told us of: one of those to connect to. */
  learn(peer: PeerAddress): void {
    const isSeed = this.#seeds.some(seed => seed.peerId === peer.peerId)
    if (peer.peerId !== this.#init.swarm.peerId && !isSeed) this.#neighbours.learn(peer)
  }

  /** A seed that was found on the network: one more to connect to, or where one of the ticket is now. */
  found(peer: PeerAddress): void {
    if (peer.peerId === this.#init.swarm.peerId) return
    const known = this.#seeds.find(({ peerId }) => peerId === peer.peerId)
    if (known === undefined) {
      if (this.#found === limits.seedsFoundMax) return
      this.#found += 1
      this.#seeds = [...this.#seeds, peer]
      return
    }
    const addresses = [...new Set([...peer.addresses, ...known.addresses])]
    const moved = { ...known, addresses: addresses.slice(0, limits.addressesPerPeerMax) }
    this.#seeds = this.#seeds.map(seed => (seed === known ? moved : seed))
  }

  addressOf(peerId: string): PeerAddress | undefined {
    return this.#neighbours.get(peerId) ?? this.#seeds.find(seed => seed.peerId === peerId)
  }

  /** Whether news is exchanged with the peer. */
  isNeighbour(peerId: string): boolean {
    return this.#neighbours.has(peerId)
  }

  /** The peer has chosen this machine. */
  chosenBy(peerId: string): void {
    this.#neighbours.choose(peerId)
  }

  /** How many seeds there may be; one that is looked for on the network counts, too. */
  get seedCount(): number {
    return Math.max(1, this.#seeds.length)
  }

  /** Resolves when stopped; rejects with what only the user can mend. */
  async run(): Promise<void> {
    let retryMs = retryMsMin
    let aloneSince = performance.now()
    if (this.#seeds.length === 0) await this.#discover()
    if (this.#init.formerName !== undefined) await this.#rename(this.#init.formerName)
    while (!this.#stop.signal.aborted) {
      await this.#connectAll()
      if (this.#init.swarm.links().length > 0) {
        aloneSince = performance.now()
        this.#alone.over()
        retryMs = retryMsMin
        if (this.#init.swarm.links().some(isOfSeed)) await this.#init.swarm.stopDiscovering()
      } else if (performance.now() - aloneSince >= aloneMs) {
        aloneSince = performance.now()
        if (this.#alone.due(aloneSince)) {
          this.#init.onAlone(this.#init.ticket.seeds, this.#lastFailure)
        }
        // The seed may be somewhere else than when the ticket was made.
        await this.#discover()
      }
      await this.#pause(retryMs)
      retryMs = Math.min(retryMs * 1.5, retryMsMax)
    }
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Without a network that can do it, the addresses that are known have to do. */
  async #discover(): Promise<void> {
    await this.#init.swarm
      .discover(peer => this.found(peer))
      .catch((error: unknown) => {
        this.#init.logger.debug('the network cannot be asked for seeds', { error: String(error) })
      })
  }

  async #connectAll(): Promise<void> {
    if (!this.#certified && !(await this.#enrol())) return
    const { swarm } = this.#init
    const isLinked = (peerId: string): boolean => swarm.link(peerId) !== undefined
    const seeds = this.#seeds.filter(seed => !isLinked(seed.peerId))
    const upMs = performance.now() - this.#startedAt
    const dials = [
      ...seeds.map(seed => this.#connect(seed)),
      ...this.#neighbours.toTry(isLinked, upMs).map(peer => this.#befriend(peer))
    ]
    await Promise.race([Promise.all(dials), this.#pause(roundMs)])
  }

  async #connect(peer: PeerAddress): Promise<boolean> {
    try {
      await this.#init.swarm.connect(peer)
      return true
    } catch (error) {
      this.#failed(peer.peerId, error)
      return false
    }
  }

  async #befriend(peer: PeerAddress): Promise<void> {
    const { peerId } = peer
    const link = this.#init.swarm.link(peerId)
    this.#neighbours.choose(peerId)
    if (link !== undefined) this.#init.onNeighbour(link)
    else if (!(await this.#connect(peer))) this.#neighbours.drop(peerId)
  }

  async #enrol(): Promise<boolean> {
    const { swarm, ticket, name } = this.#init
    this.#requireOwnTicket()
    for (const { peerId, addresses } of this.#seeds) {
      if (this.#stop.signal.aborted) return false
      try {
        const certificate = await swarm.enrol(addresses, ticket, name)
        swarm.certificate = certificate
        this.#certified = true
        this.#init.onCertified(certificate)
        return true
      } catch (error) {
        if (error instanceof BootswarmError && finalCodes.has(error.code)) throw error
        this.#failed(peerId, error)
      }
    }
    return false
  }

  /** Before anybody is shown the certificate; without a ticket or a seed the one that there is does. */
  async #rename(formerName: string): Promise<void> {
    try {
      if (await this.#enrol()) return
    } catch (error) {
      this.#lastFailure = messageOf(error)
    }
    if (!this.#stop.signal.aborted) this.#init.onNameKept?.(formerName, this.#lastFailure)
  }

  /** Only to enrol takes a ticket: who has a certificate of the lab is known to it. */
  #requireOwnTicket(): void {
    const { bound } = this.#init.ticket
    const { machineIds = ownMachineIds() } = this.#init
    if (bound === undefined || machineIds.includes(bound.machine)) return
    throw new BootswarmError(
      'ERR_TICKET_USED',
      `the ticket is for machine ${bound.machine}, and this one is ${machineIds.join(' or ')}; boot it with a ticket of its own`
    )
  }

  #failed(peer: string, error: unknown): void {
    this.#lastFailure = messageOf(error)
    this.#init.logger.debug('a peer was not reached', { peer, error: this.#lastFailure })
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {
      // Stopped while waiting; the loop sees it.
    })
  }
}

function isOfSeed(link: Link): boolean {
  return link.certificate?.role === 'seed'
}

/** The ticket lists addresses; those of one peer are tried together. */
function seedsOf(ticket: Ticket): PeerAddress[] {
  const addresses = new Map<string, string[]>()
  for (const text of ticket.seeds) {
    const part = multiaddr(text)
      .getComponents()
      .find(component => component.name === 'p2p')
    const peerId = part?.value ?? ''
    addresses.set(peerId, [...(addresses.get(peerId) ?? []), text])
  }
  return [...addresses].map(([peerId, list]) => ({ peerId, addresses: list }))
}
