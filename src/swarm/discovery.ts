import { hash } from 'node:crypto'
import type { ComponentLogger, PeerDiscovery, Startable } from '@libp2p/interface'
import type { MulticastDNSComponents } from '@libp2p/mdns'
import type { Multiaddr } from '@multiformats/multiaddr'
import { limits } from '../base/index.ts'
import type { PeerAddress } from './wire.ts'

export interface DiscoveryInit {
  readonly labKey: Uint8Array
  readonly logger: ComponentLogger
  /** What is told to those who ask; without it, this node only asks. */
  readonly addresses?: () => Multiaddr[]
  /** Anybody on the network can answer: whether it is a seed of the lab, its certificate says. */
  readonly onFound?: (peer: PeerAddress) => void
}

/**
 * Finds seeds of one lab on the same network by multicast DNS (RFC 6762), as libp2p's specification has
 * it, under a service name that carries the lab: another lab's seeds do not answer.
 */
export class Discovery {
  readonly #init: DiscoveryInit
  #service: Promise<PeerDiscovery & Startable> | undefined

  constructor(init: DiscoveryInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    this.#service ??= this.#make()
    await (await this.#service).start()
  }

  async stop(): Promise<void> {
    await (await this.#service)?.stop()
  }

  /** Who finds its seed by the ticket loads nothing of it. */
  async #make(): Promise<PeerDiscovery & Startable> {
    const { labKey, logger, addresses, onFound } = this.#init
    const { mdns } = await import('@libp2p/mdns')
    const make = mdns({
      serviceTag: serviceOf(labKey),
      interval: limits.discoveryIntervalMs,
      broadcast: addresses !== undefined
    })
    const addressManager = { getAddresses: () => addresses?.() ?? [] }
    // Of a libp2p node it uses these two, and takes any that look like them.
    const components = { addressManager, logger } as unknown as MulticastDNSComponents
    const service = make(components) as PeerDiscovery & Startable
    service.addEventListener('peer', ({ detail: { id, multiaddrs } }) => {
      const found = multiaddrs.slice(0, limits.addressesPerPeerMax)
      const peerId = id.toString()
      // As a ticket has them: libp2p dials no list in which some name their peer and others do not.
      onFound?.({ peerId, addresses: found.map(address => `${address.toString()}/p2p/${peerId}`) })
    })
    return service
  }
}

/** Eight bytes of the lab key's sha2-256 tell the labs of one network apart. */
function serviceOf(labKey: Uint8Array): string {
  return `_bootswarm-${hash('sha256', labKey, 'hex').slice(0, 16)}._udp.local`
}
