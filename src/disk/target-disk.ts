import { limits, systemTimers } from '../base/index.ts'
import type { BlockDevice, Extent, Frame } from '../base/index.ts'
import { encodeFrame } from '../image/index.ts'
import { AsideArea } from './aside.ts'
import { BackgroundPace, MachineIo } from './background-pace.ts'
import { BlockReader } from './block-reader.ts'
import { ChunkLocks } from './chunk-locks.ts'
import { ChunkStates } from './chunk-states.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Demand } from './demand.ts'
import { progressOf } from './disk-parts.ts'
import type { DiskContext, DiskParts, DiskProgress, TargetDiskOptions } from './disk-parts.ts'
import { extentsOf } from './extents.ts'
import type { HiddenWritesParts } from './hidden-writes.ts'
import { MachineWrites } from './machine-writes.ts'
import { openTarget, peekTarget, type PeekResult } from './opening.ts'
import { notOurs, requireComplete, stopped, wrongLength } from './disk-errors.ts'
import { Overlay } from './overlay.ts'
import { Recorder } from './recorder.ts'
import { recover } from './recovery.ts'
import { relocate } from './relocation.ts'
import { RoomWait } from './room-wait.ts'
import { takeBack } from './taking-back.ts'
import { UnderWay } from './under-way.ts'
import { verifyTarget, type ChunkNames, type VerifyOptions } from './verification.ts'
import type { VerifyReport } from './verification.ts'
import { zeroTarget } from './zeroing.ts'

/** The image growing on a machine's own disk, under the machine's reads and writes. */
export class TargetDisk implements BlockDevice {
  readonly size: number
  readonly #parts: DiskParts
  readonly #io: MachineIo
  readonly #pace: BackgroundPace
  readonly #closing = new AbortController()
  readonly #states: ChunkStates
  readonly #locks = new ChunkLocks()
  readonly #demand: Demand
  readonly #recorder: Recorder
  readonly #reader: BlockReader
  readonly #writer: ChunkWriter
  readonly #writes: MachineWrites
  readonly #overlay: Overlay | undefined
  #reusedBytes = 0
  /** Nothing is written any more; with `sealing`, a hand-over is being made durable. */
  #handedOver: boolean
  #sealing = false
  readonly #underWay = new UnderWay()
  #closed: Promise<void> | undefined

  private constructor(parts: DiskParts, states: ChunkStates, context: DiskContext) {
    this.size = parts.image.size
    this.#parts = parts
    const timers = { ...systemTimers, ...context.clock }
    this.#io = new MachineIo(timers)
    const { backgroundRate: rate, backgroundFloor: floor, processor } = context
    this.#pace = new BackgroundPace(timers, this.#io, { rate, floor }, processor)
    this.#states = states
    this.#demand = new Demand(context, () => this.#pace.hurry())
    this.#recorder = new Recorder({
      states,
      target: parts.target,
      metadata: parts.metadata,
      logger: context.logger,
      settleMs: context.settleMs ?? limits.journalIntervalMs
    })
    const room = new RoomWait(context, this.#closing.signal)
    this.#reader = new BlockReader({
      states,
      demand: this.#demand,
      target: parts.target,
      io: this.#io,
      room,
      onUnreadable: position => {
        context.logger.warn('blocks on the local disk cannot be read: fetched again', { position })
        return this.#takeBack(position, true)
      }
    })
    this.#handedOver = parts.metadata.superblock.handedOver
    this.#overlay = parts.overlay && new Overlay(this, parts.overlay, 'the target disk')
    this.#writer = new ChunkWriter({
      room,
      states,
      locks: this.#locks,
      demand: this.#demand,
      recorder: this.#recorder,
      target: parts.target,
      metadata: parts.metadata,
      logger: context.logger,
      encodeFrame: context.encodeFrame ?? (plain => encodeFrame(plain, 'fast')),
      onGivenUp: count => context.onGivenUp?.(count),
      onNeed: (position, why) => context.onNeed(position, why)
    })
    this.#writes = new MachineWrites({ ...this.#chunkParts(), writer: this.#writer, io: this.#io })
  }

  /**
   * Opens a target and its metadata, or begins a new one, and holds both until `close`.
   * ERR_TARGET_FOREIGN, ERR_TARGET_TOO_SMALL, ERR_TARGET_BUSY, ERR_FORMAT_VERSION,
   * ERR_METADATA_CORRUPT, ERR_FILE_MISSING, ERR_DISK_IO, ERR_DISK_FULL.
   */
  static async open(options: TargetDiskOptions): Promise<TargetDisk> {
    const parts = await openTarget(options)
    try {
      return await TargetDisk.start(parts, options)
    } catch (error) {
      await parts.release()
      throw error
    }
  }

  /** The same on files that are open already; on failure they stay open. */
  static async start(parts: DiskParts, context: DiskContext): Promise<TargetDisk> {
    const { image, metadata, blank, target } = parts
    const aside = new AsideArea(metadata, context.logger)
    const known = await recover(await metadata.readRecorded(), target, image)
    const { crashed, clean } = metadata.superblock
    const state = { blank, crashed: crashed || !clean }
    const states = new ChunkStates(image, known, aside, state, context)
    const disk = new TargetDisk(parts, states, context)
    if (metadata.superblock.handedOver) return disk
    await metadata.begin(
      () => disk.#recorder.capture(),
      () => target.sync()
    )
    disk.#reusedBytes = await relocate(parts, states, context.logger)
    return disk
  }

  /** What the machine is to see: this disk, or what is written over it until the next start. */
  get device(): BlockDevice {
    return this.#overlay ?? this
  }

  /** Plain bytes of an earlier deployment, or of whatever was there, that could be used again. */
  get reusedBytes(): number {
    return this.#reusedBytes
  }

  /** What a target's metadata pins, without opening it; undefined if there is none. Errors as `open`. */
  static peek(path: string, metadataPath?: string): Promise<PeekResult | undefined> {
    return peekTarget(path, metadataPath)
  }

  /** Waits for blocks that are missing; rejects with the signal's reason, ERR_DISK_IO, ERR_STOPPED. */
  read(offset: number, length: number, signal?: AbortSignal, into?: Buffer): Promise<Uint8Array> {
    if (this.#handedOver) return this.#run(() => this.#parts.target.read(offset, length, into))
    return this.#run(() => this.#reader.read({ offset, length }, signal, into))
  }

  readNow(offset: number, into: Buffer): boolean {
    if (this.#closed !== undefined || this.#handedOver) return false
    return this.#reader.readNow(offset, into)
  }

  /**
   * Waits for a missing block only where it writes part of one. ERR_DISK_IO, ERR_DISK_FULL, and
   * ERR_HAND_OVER once the disk is the machine's own.
   */
  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#written(() => this.#writes.write({ offset, length: data.length }, data))
  }

  writeNow(offset: number, data: Uint8Array): boolean {
    if (this.#closed !== undefined || this.#handedOver || this.#sealing) return false
    return this.#writes.writeNow({ offset, length: data.length }, data)
  }

  /** As `write` of zeros; room on the target is given back where that can be. */
  zero(offset: number, length: number): Promise<void> {
    return this.#written(() => this.#writes.zero({ offset, length }))
  }

  extents(offset: number, length: number): Promise<readonly Extent[]> {
    return this.#run(async () => extentsOf(this.#states, { offset, length }))
  }

  /** Asks for the missing blocks as a read would, and waits for them. */
  prefetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    return this.#run(() => this.#reader.arrival({ offset, length }, signal))
  }

  /**
   * Gives back what the machine has written in whole blocks of the range. What it has not written
   * stays as the image has it: peers may want it.
   */
  trim(offset: number, length: number): Promise<void> {
    return this.#written(() => this.#writes.trim({ offset, length }))
  }

  flush(): Promise<void> {
    return this.#change(() => this.#io.run(() => this.#writes.flush()), undefined)
  }

  /**
   * A verified pristine chunk has arrived: in its turn, or at once if somebody waits for it, fills the blocks
   * that are missing, and puts the frame aside if the machine wrote into the chunk. Resolves when it is
   * readable; false if nothing of it was needed. `frame` spares compressing again.
   */
  place(position: number, plain: Uint8Array, frame?: Frame): Promise<boolean> {
    const length = this.#states.lengthOf(position)
    if (plain.length !== length) return Promise.reject(wrongLength(position, length, plain.length))
    return this.#change(async () => {
      await this.#pace.turn(length, this.#closing.signal, () => this.#demand.isAwaited(position))
      return this.#writer.place(position, plain, frame)
    }, false)
  }

  /** The manifest says that the chunk is all zeros: it reads so at once, `finish` makes it so. */
  placeZero(position: number): void {
    if (this.#closed !== undefined || this.#handedOver) return
    if (!this.#states.zero.set(position, true)) return
    this.#recorder.zeroKnown(position)
    this.#states.refresh(position)
    this.#demand.wake(position, true)
  }

  /** Still to be fetched: blocks are missing, or it has to be put aside. */
  needs(position: number): boolean {
    return !this.#handedOver && this.#states.needs(position)
  }

  /** `pristine` would have it. True for zero chunks. */
  servable(position: number): boolean {
    return this.#states.servable(position)
  }

  /** Servable positions, one bit each, the first one in the high bit of the first byte; a copy. */
  bitfield(): Uint8Array {
    return this.#states.bitfield()
  }

  /**
   * A chunk as the image has it, for peers: its plain bytes, or the frame that was put aside;
   * undefined if it is not here. The caller checks the hash: the disk may have rotted.
   */
  pristine(position: number): Promise<{ plain: Uint8Array } | { frame: Frame } | undefined> {
    return this.#run(async () => {
      const states = this.#states
      const length = states.lengthOf(position)
      if (states.zero.has(position)) return { plain: new Uint8Array(length) }
      const frame = await states.aside.get(position)
      states.refresh(position)
      if (frame !== undefined) return { frame }
      return this.#locks.run(position, 'shared', async () => {
        if (!states.isPristine(position)) return undefined
        const plain = await this.#parts.target.read(position * this.#parts.image.chunkSize, length)
        // Asked again: a chunk that was given up may be written into while it is read.
        return states.isPristine(position) ? { plain } : undefined
      })
    })
  }

  progress(): DiskProgress {
    return progressOf(this.#states)
  }

  /** No chunk is needed any more. */
  get complete(): boolean {
    return this.#handedOver || this.#states.neededCount === 0
  }

  /** `markComplete` was called once, in this run or an earlier one. */
  get markedComplete(): boolean {
    return this.#parts.metadata.superblock.complete
  }

  /** When complete: writes the zeros that so far are only promised, and flushes. May be repeated. */
  finish(signal?: AbortSignal): Promise<void> {
    return this.#change(async () => {
      const { target, metadata } = this.#parts
      const parts = { states: this.#states, locks: this.#locks, pace: this.#pace }
      await zeroTarget({ ...parts, target, metadata }, signal)
      await this.#recorder.settle()
    }, undefined)
  }

  /** Compares the target with the image, but for what the machine wrote. After `finish`. */
  verify(names: ChunkNames, options: VerifyOptions = {}): Promise<VerifyReport> {
    const parts = { ...this.#chunkParts(), locks: this.#locks, pace: this.#pace }
    return this.#run(() => verifyTarget(parts, names, options))
  }

  /**
   * Takes back that a chunk's pristine blocks are there, and its frame if one was put aside: a chunk
   * that was found bad is needed again. What the machine wrote stays, and what it may have written
   * before a crash becomes its own. Durable when it resolves.
   */
  distrust(position: number): Promise<void> {
    return this.#run(() => this.#takeBack(position, false))
  }

  identity(): Uint8Array | undefined {
    return this.#parts.metadata.identity
  }

  /** Keeps the agent's own blob, at most `limits.identityBytesMax`; durable when it resolves. */
  setIdentity(identity: Uint8Array): Promise<void> {
    return this.#change(() => this.#parts.metadata.setIdentity(identity), undefined)
  }

  /** Keeps a block of the image's manifest: slot 0 its root, slot n + 1 page n. Durable. */
  keepManifestBlock(slot: number, block: Uint8Array): Promise<void> {
    return this.#change(() => this.#parts.metadata.keepManifestBlock(slot, block), undefined)
  }

  /** Undefined if it was never kept, or not whole; the caller checks its hash. */
  manifestBlock(slot: number): Promise<Uint8Array | undefined> {
    return this.#run(() => this.#parts.metadata.manifestBlock(slot))
  }

  /** Records for good that the whole disk was present and verified. */
  markComplete(): Promise<void> {
    return this.#change(() => this.#parts.metadata.markComplete(), undefined)
  }

  /** The machine uses the disk without the agent; it is only read here, and what is read may be old. */
  get handedOver(): boolean {
    return this.#handedOver
  }

  /**
   * The first step of a hand-over (docs/hand-over.md): lets others claim the device. May be repeated.
   * ERR_HAND_OVER if the disk is not complete, or holds writes that are to be discarded.
   */
  async prepareHandOver(): Promise<void> {
    if (this.#handedOver) return
    requireComplete(this.markedComplete, this.#overlay?.usedBytes ?? 0)
    await this.#parts.unclaim?.()
  }

  /**
   * The machine has stopped using this disk through us: what it wrote is made durable, and then that
   * the disk is its own. Writes are refused from the call on, unless it fails. May be repeated.
   */
  async handOver(): Promise<void> {
    await this.prepareHandOver()
    this.#sealing = true
    try {
      await this.#underWay.settled()
      await this.#change(() => this.#makeFinal(), undefined)
      this.#recorder.stop()
      this.#handedOver = true
    } finally {
      this.#sealing = false
    }
  }

  /** All that is known goes into the snapshot: to be read without a look at data that will change. */
  async #makeFinal(): Promise<void> {
    await this.#recorder.settle()
    await this.#parts.metadata.checkpoint()
    await this.#parts.metadata.markHandedOver()
  }

  /** Who waits is turned away with ERR_STOPPED; the rest is finished and flushed. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#demand.close(stopped())
    this.#closing.abort(stopped())
    await this.#underWay.settled()
    try {
      if (this.#handedOver) return
      await this.#recorder.settle()
      this.#recorder.stop()
      await this.#parts.metadata.close(this.#states.blank)
    } finally {
      this.#recorder.stop()
      await this.#parts.release()
    }
  }

  #takeBack(position: number, unreadable: boolean): Promise<void> {
    const parts = { ...this.#chunkParts(), locks: this.#locks, metadata: this.#parts.metadata }
    return takeBack(parts, position, { unreadable, readOnly: this.#handedOver })
  }

  #chunkParts(): HiddenWritesParts {
    return { states: this.#states, target: this.#parts.target, recorder: this.#recorder }
  }

  /** For what the machine changes: not once it does that itself. */
  #written(job: () => Promise<void>): Promise<void> {
    if (this.#handedOver || this.#sealing) return Promise.reject(notOurs())
    return this.#run(() => job().finally(() => this.#writes.done()))
  }

  /** For what changes the disk: once the machine has it, nothing does. */
  #change<T>(job: () => Promise<T>, otherwise: T): Promise<T> {
    return this.#handedOver ? Promise.resolve(otherwise) : this.#run(job)
  }

  #run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(stopped())
    return this.#underWay.run(job)
  }
}
