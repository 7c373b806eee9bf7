import { hostname } from 'node:os'
import {
  isErrorCode,
  limits,
  systemClock,
  shuffled,
  systemRandom,
  type ChunkId,
  type Logger
} from '../base/index.ts'
import { Machines, startControlApi, type ControlApi, type SeedStatus } from '../control/index.ts'
import { imageCidText, zeroId, type Manifest } from '../image/index.ts'
import { parseNbdAddress, startNbdServer, type NbdServer, type NbdTls } from '../nbd/index.ts'
import { makeSendWindow, Serving, tickMs, type Tuning } from '../scheduler/index.ts'
import { openOrCreateStore, type Store } from '../store/index.ts'
import {
  issueCertificate,
  Swarm,
  Uploads,
  type Link,
  type MachineReport,
  type Message
} from '../swarm/index.ts'
import { BootProfiles } from './boot-profiles.ts'
import { Brothers } from './brothers.ts'
import { CompletedMachines } from './completed-machines.ts'
import { enrolMachine } from './enrolling.ts'
import { FurtherProcesses } from './further-processes.ts'
import { rememberAddresses, seedKey } from './identity.ts'
import { NbdImages } from './nbd-exports.ts'
import { ServedImages } from './images.ts'
import { Introductions } from './introductions.ts'

export interface SeedOptions {
  readonly storeDir: string
  /** Multiaddrs; the default is every address of the host at the default port. */
  readonly listen?: readonly string[]
  /** Undefined for a further process of a seed: it sends and enrols, and the first keeps what machines say. */
  readonly http: { readonly host: string; readonly port: number } | undefined
  /** Tells the seeds of one lab apart that run on one store or on copies of it. */
  readonly as?: string
  /** Commands of the further processes of this seed. */
  readonly further?: readonly (readonly string[])[]
  /** Where its images are shown by NBD: `unix:PATH` or `HOST:PORT`; without it, nowhere. */
  readonly nbd?: string
  readonly insecure?: boolean
  readonly nbdTls?: NbdTls
  /** `room/rack`: machines of the same get the first copies, when other racks are behind a thin line. */
  readonly location?: string | undefined
  /** Answers machines of its network that look for a seed (multicast DNS); by default it does. */
  readonly mdns?: boolean
  readonly tuning?: Tuning
  /** Bytes of frames a second. */
  readonly uploadRate?: number
  readonly logger: Logger
}

export const defaultListen = [
  `/ip4/0.0.0.0/tcp/${limits.seedPort}`,
  `/ip6/::/tcp/${limits.seedPort}`
]

/** The admin's process: holds whole images, signs machines in, and sends each chunk about once. */
export class Seed {
  readonly #store: Store
  readonly #logger: Logger
  readonly #as: string | undefined
  readonly #location: string | undefined
  readonly #machines = new Machines(systemClock)
  readonly #introductions = new Introductions(systemRandom)
  readonly #serving: Serving
  readonly #brothers: Brothers
  readonly #images: ServedImages
  readonly #boots: BootProfiles
  readonly #uploads: Uploads
  readonly #startedAt = systemClock.now()
  #pings: NodeJS.Timeout | undefined
  readonly #retries: NodeJS.Timeout
  #completed: CompletedMachines | undefined
  #swarm!: Swarm
  #api: ControlApi | undefined
  #further: FurtherProcesses | undefined
  #nbd: NbdServer | undefined

  /** Throws what openStore, Swarm.start and startControlApi throw; nothing is left running then. */
  static async start(options: SeedOptions): Promise<Seed> {
    const store = await openOrCreateStore(options.storeDir)
    const seed = new Seed(store, options)
    try {
      // The control socket first: it also makes sure that no other seed serves this store.
      await seed.#keepAccount(options)
      await seed.#join(options)
      // Not before: a slow machine may take longer than the first interval to get here.
      seed.#pings = setInterval(() => seed.#pingAll(), limits.pingIntervalMs)
      if (options.mdns !== false) await seed.#swarm.announce()
      await seed.#show(options)
      return seed
    } catch (error) {
      await seed.stop()
      throw error
    }
  }

  private constructor(store: Store, { logger, tuning, as, location, uploadRate }: SeedOptions) {
    this.#store = store
    this.#logger = logger
    this.#as = as
    this.#location = location
    const { mechanisms } = tuning ?? {}
    this.#serving = new Serving('seed', mechanisms, location)
    this.#brothers = new Brothers((imageId, seeds) => this.#share(imageId, seeds))
    this.#images = new ServedImages(store)
    this.#boots = new BootProfiles(store, this.#images, logger)
    this.#uploads = new Uploads({
      policy: this.#serving,
      window: makeSendWindow(mechanisms),
      bytesPerSecond: uploadRate,
      giving: this.#serving,
      source: {
        holding: id => (store.has(id) ? 'held' : 'absent'),
        load: id => store.get(id)
      },
      clock: systemClock,
      logger,
      addressOf: peerId => this.#swarm.addressOf(peerId)
    })
    this.#retries = setInterval(() => this.#uploads.writable(), tickMs)
  }

  /** Of all its processes. */
  get addresses(): string[] {
    return [...this.#swarm.addresses(), ...(this.#further?.addresses ?? [])]
  }

  get url(): string | undefined {
    return this.#api?.url
  }

  get bytesSent(): number {
    return this.#uploads.bytesSent + (this.#further?.bytesSent ?? 0)
  }

  /** Where its images are shown by NBD, if they are. */
  get nbd(): string | undefined {
    return this.#nbd?.address
  }

  namedImages(): SeedStatus['images'] {
    return this.#images.named()
  }

  status(): SeedStatus {
    return {
      seed: {
        name: hostname(),
        peerId: this.#swarm.peerId,
        addresses: this.addresses,
        uptimeSeconds: Math.round((systemClock.now() - this.#startedAt) / 1000),
        bytesSent: this.bytesSent
      },
      images: this.namedImages(),
      machines: this.#machines.list()
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#pings)
    clearInterval(this.#retries)
    await this.#nbd?.close()
    await this.#api?.close()
    await Promise.all([this.#further?.stop(), (this.#swarm as Swarm | undefined)?.stop()])
    this.#completed?.close()
    await this.#store.close()
  }

  async #keepAccount({ http, storeDir, logger }: SeedOptions): Promise<void> {
    if (http === undefined) return
    this.#api = await startControlApi({ storeDir, http, status: () => this.status() })
    this.#completed = new CompletedMachines(this.#store.directory, this.#machines, logger)
  }

  async #join({ listen = defaultListen, further, http }: SeedOptions): Promise<void> {
    const store = this.#store
    const key = await seedKey(store, this.#as)
    this.#swarm = await Swarm.start({
      key,
      labKey: store.lab.publicKey,
      listen,
      logger: this.#logger,
      location: this.#location,
      enrol: request => enrolMachine(store, request, Date.now()),
      handlers: {
        onPeer: link => {
          this.#serving.located(link.peerId, link.place)
          this.#machines.joined(link.peerId, link.certificate?.name ?? '')
        },
        onMessage: (link, message) => this.#receive(link, message),
        onWritable: () => this.#uploads.writable(),
        onGone: link => this.#gone(link)
      }
    })
    const { peerId } = this.#swarm
    this.#swarm.certificate = issueCertificate(store.lab, {
      peerId,
      role: 'seed',
      name: hostname()
    })
    const remember = (): Promise<void> => rememberAddresses(store, this.addresses)
    if (further !== undefined) {
      const onReady = (): void =>
        void remember().catch((error: unknown) =>
          this.#logger.warn('the addresses of the seed cannot be kept', { error })
        )
      const logger = this.#logger
      this.#further = await FurtherProcesses.start({ commands: further, logger, onReady })
    }
    if (http !== undefined) await remember()
  }

  async #show({ nbd, insecure, nbdTls: tls, logger }: SeedOptions): Promise<void> {
    if (nbd === undefined) return
    const images = new NbdImages(this.#store)
    const address = parseNbdAddress(nbd)
    const exports = () => images.list()
    this.#nbd = await startNbdServer({ address, exports, insecure, tls, comesBack: true, logger })
  }

  #receive(link: Link, message: Message): void {
    switch (message.type) {
      case 'want':
        this.#uploads.want(link, message)
        return
      case 'more':
        this.#uploads.more(link, message)
        return
      case 'got':
        this.#uploads.got(link, message.request)
        return
      case 'cancel':
        this.#uploads.cancel(link, message.request)
        return
      case 'resolve':
        this.#resolve(link, message)
        return
      case 'interest':
        this.#interested(link, message.imageId)
        return
      case 'have':
        this.#learn(link, message.imageId, message.items)
        return
      case 'have-map':
        this.#learn(link, message.imageId, itemsOfMap(message.first, message.bits))
        return
      case 'seeds':
        this.#brothers.told(link, message.imageId, message.seeds)
        return
      case 'report':
        this.#machines.reported(link.peerId, reportOf(message.report))
        return
      case 'boot':
        this.#booted(link, message)
        return
      case 'completion':
        this.#completed?.reported(link, message.signed)
        return
      case 'ping':
        link.send({ type: 'pong', nonce: message.nonce })
        return
      case 'pong':
      case 'have-all':
      case 'have-not':
      case 'profile':
      case 'read':
      case 'peers':
      case 'release':
      case 'hello':
      case 'accept':
      case 'give':
      case 'frame':
      case 'segment':
      case 'refuse':
      case 'redirect':
        // A seed asks nobody for anything, so none of these tells it anything.
        return
    }
  }

  #resolve(link: Link, message: Extract<Message, { type: 'resolve' }>): void {
    const release = this.#signedRelease(message.name) ?? new Uint8Array()
    link.send({ type: 'release', request: message.request, release })
  }

  #signedRelease(name: string): Uint8Array | undefined {
    try {
      return this.#store.resolve(name)?.signed
    } catch (error) {
      // What cannot be a name is a name that is not known; the machine says so to its user.
      if (isErrorCode(error, 'ERR_NAME_INVALID')) return undefined
      throw error
    }
  }

  #interested(link: Link, imageId: ChunkId): void {
    this.#images
      .manifest(imageId)
      .then(manifest => {
        if (link.closed) return
        if (manifest !== undefined) this.#greet(link, manifest)
        this.#introductions.introduce(link, imageId, peerId => this.#swarm.addressOf(peerId))
      })
      .catch((error: unknown) => {
        this.#logger.warn('an image cannot be served', { image: imageCidText(imageId), error })
      })
  }

  /** What a boot will read is said before anything can be asked for. */
  #greet(link: Link, manifest: Manifest): void {
    const { imageId } = manifest.root
    this.#offer(manifest)
    const boot = this.#boots.of(manifest)
    if (boot !== undefined) {
      this.#serving.prefer(imageId, boot.ids)
      const machines = this.#introductions.count(imageId)
      // Of a seed of several processes the one that learns what boots read says it.
      const isTold = this.#api !== undefined
      if (isTold) link.send({ type: 'profile', imageId, machines, bytes: boot.signed })
    }
    link.send({ type: 'have-all', imageId })
  }

  #booted(link: Link, { imageId, bytes }: Extract<Message, { type: 'boot' }>): void {
    // Machines tell every process; one keeps it.
    if (this.#api === undefined) return
    this.#boots.learn(link.peerId, imageId, bytes).catch((error: unknown) => {
      this.#logger.warn("a machine's boot could not be kept", { error })
    })
  }

  /** In random order, as long as nobody knows what boots read. */
  #offer(manifest: Manifest): void {
    const { imageId } = manifest.root
    if (this.#serving.offers(imageId)) return
    const ids = Array.from(manifest.distinctChunks(), ({ id }) => id)
    this.#serving.offer(imageId, shuffled(ids, systemRandom))
  }

  /** Each seed first gives the chunks whose home it is among those that hold the image. */
  #share(imageId: ChunkId, seeds: readonly string[]): void {
    const others = seeds.filter(peerId => peerId !== this.#swarm.peerId)
    this.#serving.seeds(imageId, this.#swarm.peerId, others)
  }

  #learn(link: Link, imageId: ChunkId, items: readonly number[]): void {
    this.#images
      .manifest(imageId)
      .then(manifest => {
        for (const item of items) {
          const id = manifest === undefined ? undefined : idOfItem(manifest, item)
          if (id !== undefined) this.#serving.holds(link.peerId, id)
        }
      })
      .catch((error: unknown) => this.#logger.debug('haves were not used', { error }))
  }

  #gone(link: Link): void {
    this.#uploads.gone(link)
    this.#introductions.gone(link)
    this.#brothers.gone(link)
    this.#machines.left(link.peerId)
  }

  /** A machine that was cut off says nothing; the ping makes the connection notice. */
  #pingAll(): void {
    const now = systemClock.now()
    for (const link of this.#swarm.links()) {
      if (now - link.heardAt >= limits.pingIntervalMs) link.send({ type: 'ping', nonce: 0 })
    }
  }
}

function itemsOfMap(first: number, bits: Uint8Array): number[] {
  const items: number[] = []
  for (const [at, byte] of bits.entries()) {
    for (let bit = 0; bit < 8; bit += 1)
      if ((byte & (0x80 >> bit)) !== 0) items.push(first + at * 8 + bit)
  }
  return items
}

function idOfItem(manifest: Manifest, item: number): ChunkId | undefined {
  const { chunkCount, pageIds } = manifest.root
  const id = item < chunkCount ? manifest.chunkIdAt(item) : pageIds[item - chunkCount]
  return id === zeroId ? undefined : id
}

function reportOf(report: MachineReport): Parameters<Machines['reported']>[1] {
  const { imageId, ...rest } = report
  return { ...rest, image: imageCidText(imageId) }
}
