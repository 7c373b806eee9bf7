import { ownMachineIds, systemClock, systemRandom, type ChunkId, secondsUp } from '../base/index.ts'
import { TargetDisk, type VerifyReport } from '../disk/index.ts'
import { idOfCidText, imageCidText, Manifest, parseImageName } from '../image/index.ts'
import {
  checkNbdAddress,
  parseNbdAddress,
  startNbdServer,
  type NbdAddress,
  type NbdServer
} from '../nbd/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import { decodeTicket, type Ticket } from '../swarm/index.ts'
import { AgentExports, imageBeside } from './agent-exports.ts'
import { BootFiles } from './boot-files.ts'
import { BootLearning } from './boot-learning.ts'
import { Completion } from './completion.ts'
import { CompletionNotice } from './completion-notice.ts'
import { ControlSocket, parseControlAddress } from './control-socket.ts'
import { figuresOf } from './figures.ts'
import { encodeIdentity, type Identity } from './identity.ts'
import { chooseImage, type ImageChoice, type PinnedImage } from './image-choice.ts'
import { ImageFinder } from './image-finder.ts'
import type { ImageView } from './image-view.ts'
import { Items } from './items.ts'
import { joinLab } from './joining.ts'
import { keepManifest, keepRoot, keptManifest } from './kept-manifest.ts'
import { recallMachine, type Machine } from './machine.ts'
import { MachineDevice } from './machine-device.ts'
import { ManifestFinder } from './manifest-finder.ts'
import type { Membership } from './membership.ts'
import type { AgentOptions } from './options.ts'
import type { Peering } from './peering.ts'
import { NewerRelease } from './newer-release.ts'
import { RelayCache } from './relay-cache.ts'
import { Reporter } from './reporter.ts'
import { scanNews } from './scan-news.ts'
import { Session } from './session.ts'
import { SharedPlace } from './shared-place.ts'
import { Traffic } from './traffic.ts'

const identityIntervalMs = 30_000

/**
 * The process on a machine that is being deployed: shows the image as a block device at once, brings
 * it onto the target disk, and serves what it has to its peers.
 */
export class Agent {
  /** Settles when the agent cannot go on; rejects with the reason. */
  readonly failed = Promise.withResolvers<never>()
  /** Resolves when the disk is complete and verified. */
  readonly completed = Promise.withResolvers<void>()
  /** Resolves when the disk is complete and peers have been served for as long as was asked. */
  readonly shared = Promise.withResolvers<void>()
  readonly #options: AgentOptions
  readonly #ticket: Ticket
  readonly #machineIds: readonly string[]
  readonly #nbdAddress: NbdAddress
  readonly #relay = new RelayCache()
  readonly #traffic = new Traffic()
  readonly #stopping = new AbortController()
  #machine!: Machine
  #identity!: Identity
  #peering!: Peering
  #membership!: Membership
  #disk!: TargetDisk
  #boots!: BootLearning
  #session: Session | undefined
  #view: ImageView | undefined
  #exports!: AgentExports
  #reporter: Reporter | undefined
  #nbd: NbdServer | undefined
  #device: MachineDevice | undefined
  #control: ControlSocket | undefined
  #bootFiles: BootFiles | undefined
  readonly #newer: NewerRelease
  #identityTimer: NodeJS.Timeout | undefined
  #shareTimer: NodeJS.Timeout | undefined

  /** Throws ERR_TICKET_INVALID, ERR_ADDRESS_INVALID, ERR_NAME_INVALID, … for options that can never work. */
  constructor(options: AgentOptions) {
    this.#options = options
    this.#ticket = decodeTicket(options.ticket)
    this.#newer = new NewerRelease(this.#ticket.labKey, options.image)
    this.#machineIds = options.machineIds ?? ownMachineIds()
    this.#nbdAddress = parseNbdAddress(options.nbd)
    if (options.control !== undefined) parseControlAddress(options.control)
    if (idOfCidText(options.image) === undefined) parseImageName(options.image)
    // Whoever awaits them decides; nobody awaiting is no crash.
    this.failed.promise.catch(() => {})
  }

  /**
   * Resolves when the NBD socket answers; until a seed has been reached that may take any time, on a
   * disk that knows its image none. Rejects with what only the user can mend.
   */
  async start(): Promise<void> {
    const options = this.#options
    const { insecure, nbdTls: tls, bootCache, device, logger, processor } = options
    // Before anybody waits for a seed, and before a target disk is made.
    await checkNbdAddress({ address: this.#nbdAddress, insecure, tls })
    this.#machine = await recallMachine(options, this.#ticket.labKey)
    this.#identity = this.#machine.identity
    await this.#join()
    const choice = await this.#chooseImage()
    const { image, found, whole } = choice
    this.#disk = await this.#openDisk(choice)
    this.#traffic.bytesLocal += this.#disk.reusedBytes
    if (found !== undefined) await keepManifest(this.#disk, found.rootBytes, whole?.pages)
    await this.#keepIdentity()
    const { address } = (this.#nbd = await this.#serve(image))
    await this.#listenToMachine()
    this.#emit(this.#readyEvent(image, address))
    if (device !== undefined) this.#background(this.#showDevice(device, address))
    const isChecked = processor !== undefined
    this.#bootFiles = bootCache && new BootFiles({ ...bootCache, logger, isChecked })
    if (this.#bootFiles !== undefined) this.#background(this.#bootFiles.started)
    this.#background(this.#stream(image, whole?.manifest ?? (found && new Manifest(found.root))))
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'))
    clearInterval(this.#identityTimer)
    clearTimeout(this.#shareTimer)
    this.#reporter?.stop()
    this.#session?.stop()
    ;(this.#boots as BootLearning | undefined)?.stop()
    ;(this.#membership as Membership | undefined)?.stop()
    await this.#control?.close()
    await this.#device?.leave()
    await this.#bootFiles?.close()
    await this.#nbd?.close()
    await (this.#disk as TargetDisk | undefined)?.close()
    await (this.#peering as Peering | undefined)?.stop()
  }

  #chooseImage(): Promise<ImageChoice> {
    return chooseImage(this.#options, this.#machine, {
      find: imageId => this.#untilFailure(this.#finder(imageId).find(this.#signal)),
      pages: root => this.#untilFailure(new ManifestFinder(this.#peering, root).find(this.#signal))
    })
  }

  get #signal(): AbortSignal {
    return this.#stopping.signal
  }

  async #join(): Promise<void> {
    const { logger, listen, location, tuning, uploadRate, downloadRate, released } = this.#options
    const { peering, membership } = await joinLab({
      identity: this.#identity,
      ticket: this.#ticket,
      name: this.#machine.name,
      formerName: this.#machine.formerName,
      machineIds: this.#machineIds,
      relay: this.#relay,
      ...{ listen, location, tuning, uploadRate, downloadRate, logger },
      onCertified: signed => {
        this.#identity = { ...this.#identity, certificate: signed }
        this.#machine = { ...this.#machine, formerName: undefined }
        this.#background(this.#keepIdentity())
      },
      onNameKept: (name, why) =>
        this.#emit({ event: 'name-kept', seconds: secondsUp(), name, why }),
      onNeighbour: link => this.#session?.greet(link),
      onAlone: (addresses, why) => {
        this.#emit({ event: 'unreachable', seconds: secondsUp(), addresses, why })
      }
    })
    this.#peering = peering
    this.#membership = membership
    await released
    this.#background(membership.run())
  }

  #finder(imageId: ChunkId | undefined): ImageFinder {
    const { labKey } = this.#ticket
    const { seedCount } = this.#membership
    const { image } = this.#options
    if (imageId === undefined) this.#newer.isAsked()
    return new ImageFinder({ peering: this.#peering, labKey, image, imageId, seedCount })
  }

  #openDisk({ image, whole, redeploys }: ImageChoice): Promise<TargetDisk> {
    const { disk, metadata, force, scan, writes, logger } = this.#options
    const { backgroundRate, backgroundFloor, processor } = this.#options
    const reuse = whole && {
      names: whole.manifest,
      formerNames: keptManifest,
      onScan: scanNews(event => this.#emit(event))
    }
    return TargetDisk.open({
      ...{ backgroundRate, backgroundFloor, processor },
      path: disk,
      metadataPath: metadata,
      image,
      labKey: this.#ticket.labKey,
      redeploy: redeploys,
      ...{ force, scan, writes, reuse, logger },
      onNeed: (position, why) => this.#session?.transfer.need(position, why),
      onNeedless: position => {
        if (this.#view?.needs(position) !== true) this.#session?.transfer.needless(position)
      },
      onServable: position => this.#session?.servable(position, true),
      onWithdrawn: position => this.#session?.servable(position, false),
      onFull: isFull => this.#emit(this.#traffic.stalls.full(isFull)),
      onGivenUp: chunks => {
        // At 1, 2, 4, 8, …: there may be thousands.
        if ((chunks & (chunks - 1)) === 0) {
          this.#emit({ event: 'given-up', seconds: secondsUp(), chunks })
        }
      }
    })
  }

  async #serve(image: PinnedImage): Promise<NbdServer> {
    const { insecure, nbdTls: tls, logger } = this.#options
    const [options, { labKey }] = [this.#options, this.#ticket]
    const emit = (event: AgentEvent): void => this.#emit(event)
    this.#boots = new BootLearning({ image, labKey, options, session: () => this.#session, emit })
    this.#exports = new AgentExports(options, image, this.#disk, this.#boots)
    return startNbdServer({
      address: this.#nbdAddress,
      exports: () => this.#exports.list(),
      insecure,
      tls,
      // What a kernel waits for when the agent is stopped, the next agent on this disk answers.
      comesBack: true,
      logger
    })
  }

  #showDevice(path: string, nbd: string): Promise<void> {
    const device = (this.#device = new MachineDevice(path, nbd, event => this.#emit(event)))
    return this.#disk.handedOver ? device.detach() : device.attach()
  }

  async #listenToMachine(): Promise<void> {
    const { control, logger } = this.#options
    if (control === undefined) return
    const disk = this.#disk
    const handlers = {
      status: () => ({ complete: disk.markedComplete, handedOver: disk.handedOver }),
      prepare: () => disk.prepareHandOver(),
      seal: () => disk.handOver(),
      release: () => this.#release()
    }
    this.#control = await ControlSocket.start(control, handlers, logger)
  }

  /** The machine has its disk; what is left to do here is to serve peers. */
  async #release(): Promise<void> {
    await this.#disk.handOver()
    await this.#device?.detach()
    await this.#nbd?.close()
    this.#emit({ event: 'handed-over', seconds: secondsUp() })
  }

  /** From here on the machine can work; the rest happens behind its back. */
  async #stream(image: PinnedImage, found: Manifest | undefined): Promise<void> {
    const manifest = found ?? (await this.#manifest(image))
    const { logger, tuning, image: asked } = this.#options
    const items = new Items(manifest)
    const notice = new CompletionNotice(this.#identity, image.imageId, this.#disk.markedComplete)
    const completion = new Completion({
      disk: this.#disk,
      manifest,
      logger,
      signal: this.#signal,
      onPresent: () => this.#emit({ event: 'present', ...this.#finished(undefined, false) }),
      onVerified: report => {
        const { verifiedBytes } = report
        const figures = figuresOf(this.#traffic, this.#disk, report)
        return this.#keepIdentity({ completion: notice.sign({ ...figures, verifiedBytes }) })
      },
      onComplete: report => this.#onComplete(report),
      onBad: position => this.#session?.transfer.refetch(position)
    })
    const view = imageBeside(this.#disk, items, () => session)
    const session = new Session({
      items,
      disk: new SharedPlace(this.#disk, view),
      peering: this.#peering,
      membership: this.#membership,
      relay: this.#relay,
      traffic: this.#traffic,
      random: systemRandom,
      tuning,
      logger,
      name: idOfCidText(asked) === undefined ? asked : undefined,
      notice,
      boots: this.#boots,
      onRelease: signed => this.#sayNewer(signed, image),
      onDiskError: error => {
        if (!this.#signal.aborted) logger.warn('the target disk failed', { error })
      },
      onArrival: () => this.#background(completion.check())
    })
    this.#session = session
    this.#view = view
    session.start()
    this.#exports.show(view)
    this.#reporter = new Reporter({
      imageId: image.imageId,
      machineIds: this.#machineIds,
      bootFiles: this.#bootFiles,
      disk: this.#disk,
      swarm: this.#peering.swarm,
      transfer: session.transfer,
      traffic: this.#traffic,
      clock: systemClock,
      state: () => completion.state,
      emit: event => this.#emit(event)
    })
    const keep = (): void => this.#background(this.#keepIdentity())
    this.#identityTimer = setInterval(keep, identityIntervalMs)
    await completion.check()
  }

  async #manifest(image: PinnedImage): Promise<Manifest> {
    const kept = await keptManifest(this.#disk, image.imageId)
    if (kept !== undefined) return kept
    // The machine lost power between pinning the image and keeping its root.
    const { root, rootBytes } = await this.#finder(image.imageId).find(this.#signal)
    await keepRoot(this.#disk, rootBytes)
    return new Manifest(root)
  }

  #onComplete(report: VerifyReport | undefined): void {
    this.#session?.sayComplete()
    this.#emit({ event: 'complete', ...this.#finished(report, true) })
    this.#reporter?.now()
    this.completed.resolve()
    // Its own disk comes first.
    if (this.#bootFiles !== undefined) this.#background(this.#bootFiles.fill())
    const { shareMs = Infinity } = this.#options
    if (shareMs === Infinity) return
    this.#shareTimer = setTimeout(() => this.#background(this.#leave()), shareMs)
  }

  /** As `NewerRelease.said`; what there was to say has been emitted then. */
  nameSaid(): Promise<void> {
    return this.#newer.said(this.#signal)
  }

  /** The disk is the machine's own; the peers have others to ask. */
  async #leave(): Promise<void> {
    await this.nameSaid()
    if (this.#signal.aborted) return
    clearInterval(this.#identityTimer)
    this.#reporter?.stop()
    this.#membership.stop()
    await this.#peering.stop()
    this.#emit({ event: 'unshared', seconds: secondsUp() })
    this.shared.resolve()
  }

  #finished(report: VerifyReport | undefined, verified: boolean) {
    return { ...figuresOf(this.#traffic, this.#disk, report), verified }
  }

  #sayNewer(signed: Uint8Array, image: PinnedImage): void {
    const news = this.#newer.newsOf(signed, image)
    if (news !== undefined) this.#emit(news)
  }

  async #keepIdentity(news: Pick<Identity, 'completion'> = {}): Promise<void> {
    this.#identity = { ...this.#identity, ...news }
    // Before the disk is open there is nowhere to keep it; opening is followed by keeping.
    if ((this.#disk as TargetDisk | undefined) === undefined) return
    const peers = this.#membership.peers()
    await this.#disk.setIdentity(encodeIdentity({ ...this.#identity, peers }))
  }

  #readyEvent(image: PinnedImage, nbd: string): AgentEvent {
    const { presentChunks, chunkCount } = this.#disk.progress()
    return {
      event: 'ready',
      nbd,
      size: image.size,
      image: imageCidText(image.imageId),
      name: this.#machine.formerName ?? this.#machine.name,
      present: presentChunks / chunkCount,
      ...(this.#disk.handedOver ? { handedOver: true } : {})
    }
  }

  #emit(event: AgentEvent): void {
    if (!this.#signal.aborted || event.event === 'stopped') this.#options.onEvent(event)
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#signal.aborted) this.failed.reject(error)
    })
  }

  #untilFailure<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.failed.promise])
  }
}
