import { systemRandom, secondsUp } from '../base/index.ts'
import { ImageDevice, imageCidText, Manifest } from '../image/index.ts'
import {
  checkNbdAddress,
  parseNbdAddress,
  startNbdServer,
  withReadTimeout,
  type NbdAddress,
  type NbdServer
} from '../nbd/index.ts'
import { decodeTicket, peerIdOf, type Ticket } from '../swarm/index.ts'
import { newIdentity } from './identity.ts'
import { ImageFinder } from './image-finder.ts'
import { ImageView } from './image-view.ts'
import { Items } from './items.ts'
import { joinLab, type Joined } from './joining.ts'
import type { Membership } from './membership.ts'
import type { ExporterOptions } from './options.ts'
import type { Peering } from './peering.ts'
import { RelayCache } from './relay-cache.ts'
import { Session } from './session.ts'
import { Traffic } from './traffic.ts'

/** Shows an image of the lab as a read-only block device, straight from the swarm and without a disk. */
export class Exporter {
  /** Settles when it cannot go on; rejects with the reason. */
  readonly failed = Promise.withResolvers<never>()
  readonly #options: ExporterOptions
  readonly #ticket: Ticket
  readonly #address: NbdAddress
  readonly #identity = newIdentity()
  readonly #relay = new RelayCache()
  readonly #stopping = new AbortController()
  #joined: Joined | undefined
  #session: Session | undefined
  #nbd: NbdServer | undefined

  /** Throws ERR_TICKET_INVALID or ERR_ADDRESS_INVALID for options that can never work. */
  constructor(options: ExporterOptions) {
    this.#options = options
    this.#ticket = decodeTicket(options.ticket)
    this.#address = parseNbdAddress(options.nbd)
    this.failed.promise.catch(() => {})
  }

  /** Resolves when the NBD socket answers; waits for a seed for as long as none can be reached. */
  async start(): Promise<void> {
    const { image, insecure, nbdTls: tls, readTimeoutMs, logger } = this.#options
    await checkNbdAddress({ address: this.#address, insecure, tls })
    const { peering, membership } = await this.#join()
    const { labKey } = this.#ticket
    const { seedCount } = membership
    const finder = new ImageFinder({ peering, labKey, image, seedCount })
    const { root } = await Promise.race([finder.find(this.#stopping.signal), this.failed.promise])
    const view = this.#view(peering, membership, new Manifest(root))
    const cid = imageCidText(root.imageId)
    this.#nbd = await startNbdServer({
      address: this.#address,
      exports: [
        {
          name: image,
          description: `bootswarm image ${cid}`,
          device: withReadTimeout(new ImageDevice(view), readTimeoutMs),
          readOnly: true
        }
      ],
      insecure,
      tls,
      logger
    })
    const { address: nbd } = this.#nbd
    const name = this.#name
    this.#options.onEvent({ event: 'ready', nbd, size: root.size, image: cid, name, present: 0 })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the export is stopping'))
    await this.#nbd?.close()
    this.#session?.stop()
    this.#joined?.membership.stop()
    await this.#joined?.peering.stop()
  }

  get #name(): string {
    return this.#options.name ?? `export-${peerIdOf(this.#identity.key).slice(-6)}`
  }

  async #join(): Promise<Joined> {
    const { logger, listen, machineIds, tuning, onEvent } = this.#options
    const joined = await joinLab({
      identity: this.#identity,
      ticket: this.#ticket,
      name: this.#name,
      relay: this.#relay,
      ...{ listen, machineIds, tuning, logger },
      onCertified: () => {},
      onNeighbour: link => this.#session?.greet(link),
      onAlone: (addresses, why) => {
        if (this.#stopping.signal.aborted) return
        onEvent({ event: 'unreachable', seconds: secondsUp(), addresses, why })
      }
    })
    this.#joined = joined
    joined.membership.run().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.failed.reject(error)
    })
    return joined
  }

  #view(peering: Peering, membership: Membership, manifest: Manifest): ImageView {
    const { logger, tuning } = this.#options
    const view = new ImageView(manifest, {
      onNeed: position => session.transfer.need(position, 'read'),
      onNeedless: position => session.transfer.needless(position)
    })
    const session = new Session({
      items: new Items(manifest),
      disk: view,
      peering,
      membership,
      relay: this.#relay,
      traffic: new Traffic(),
      random: systemRandom,
      tuning,
      logger,
      name: undefined,
      onRelease: () => {},
      onDiskError: error => logger.warn('a chunk was not taken', { error }),
      onArrival: () => {}
    })
    this.#session = session
    session.start()
    return view
  }
}
