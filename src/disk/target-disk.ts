import { BootswarmError, systemClock } from '../base/index.ts'
import type { BlockDevice, Clock, Frame } from '../base/index.ts'
import { AsideArea } from './aside.ts'
import { blocksOf, bytesOf, partsOf } from './block-ranges.ts'
import type { ByteRange, ChunkPart } from './block-ranges.ts'
import { ChunkLocks } from './chunk-locks.ts'
import { ChunkStates } from './chunk-states.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Demand } from './demand.ts'
import type { DiskContext, DiskParts, DiskProgress, TargetDiskOptions } from './disk-parts.ts'
import { openTarget, peekTarget } from './opening.ts'
import type { PeekResult } from './opening.ts'
import { notOurs, requireComplete } from './hand-over.ts'
import { Overlay } from './overlay.ts'
import { blockStates, masks } from './presence-map.ts'
import { Recorder } from './recorder.ts'
import { relocate } from './relocation.ts'
import { verifyTarget } from './verification.ts'
import type { ChunkNames, VerifyOptions, VerifyReport } from './verification.ts'
import { zeroTarget } from './zeroing.ts'

/** The image growing on a machine's own disk, under the machine's reads and writes. */
export class TargetDisk implements BlockDevice {
  readonly size: number
  readonly #parts: DiskParts
  readonly #clock: Clock
  readonly #states: ChunkStates
  readonly #locks = new ChunkLocks()
  readonly #demand: Demand
  readonly #recorder: Recorder
  readonly #writer: ChunkWriter
  readonly #overlay: Overlay | undefined
  #reusedBytes = 0
  /** Nothing is written any more; with `closing`, a hand-over is being made durable. */
  #handedOver: boolean
  #closing = false
  #underWay = 0
  #idle: PromiseWithResolvers<void> | undefined
  #closed: Promise<void> | undefined

  private constructor(parts: DiskParts, states: ChunkStates, context: DiskContext) {
    this.size = parts.image.size
    this.#parts = parts
    this.#clock = context.clock ?? systemClock
    this.#states = states
    this.#demand = new Demand(context)
    this.#recorder = new Recorder(states, parts.target, parts.metadata, context.logger)
    this.#handedOver = parts.metadata.superblock.handedOver
    this.#overlay = parts.overlay && new Overlay(this, parts.overlay, 'the target disk')
    this.#writer = new ChunkWriter({
      states,
      locks: this.#locks,
      demand: this.#demand,
      recorder: this.#recorder,
      target: parts.target,
      metadata: parts.metadata,
      logger: context.logger,
      onNeed: (position, why) => context.onNeed(position, why)
    })
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
    const { image, metadata, blank } = parts
    const aside = new AsideArea(metadata, context.logger)
    const states = new ChunkStates(image, await metadata.readRecorded(), aside, blank, context)
    const disk = new TargetDisk(parts, states, context)
    if (metadata.superblock.handedOver) return disk
    await metadata.begin(() => disk.#recorder.capture())
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
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#run(async () => {
      const range = { offset, length }
      for (let absent = this.#absentParts(range); absent.length > 0;) {
        await Promise.all(absent.map(part => this.#arrival(part, signal)))
        absent = this.#absentParts(range)
      }
      return this.#readPresent(range)
    })
  }

  /**
   * Waits for a missing block only where it writes part of one. ERR_DISK_IO, ERR_DISK_FULL, and
   * ERR_HAND_OVER once the disk is the machine's own.
   */
  write(offset: number, data: Uint8Array): Promise<void> {
    if (this.#handedOver || this.#closing) return Promise.reject(notOurs())
    return this.#run(async () => {
      const range = { offset, length: data.length }
      const { block, count } = blocksOf(range)
      if (!this.#states.map.any(block, count, masks.unwritten)) {
        // The blocks are the machine's already; but the record that says so may still be on its way.
        const settled = this.#parts.metadata.settled()
        if (settled !== undefined) await settled
        return this.#parts.target.write(offset, data)
      }
      const parts = partsOf(range, this.#parts.image.chunkSize)
      const results = await Promise.allSettled(
        parts.map(part => {
          const start = part.offset - offset
          return this.#writer.write(part, data.subarray(start, start + part.length))
        })
      )
      for (const result of results) if (result.status === 'rejected') throw result.reason
    })
  }

  flush(): Promise<void> {
    return this.#change(() => this.#recorder.flush(), undefined)
  }

  /**
   * A verified pristine chunk has arrived: fills the blocks that are missing, and puts the frame
   * aside if the machine wrote into the chunk. Resolves when it is readable; false if nothing of it
   * was needed. `frame` spares compressing again; without it one is made if needed.
   */
  place(position: number, plain: Uint8Array, frame?: Frame): Promise<boolean> {
    const length = this.#states.lengthOf(position)
    if (plain.length !== length) {
      const message = `chunk ${position} has ${length} bytes, ${plain.length} came`
      return Promise.reject(new BootswarmError('ERR_INTERNAL', message))
    }
    return this.#change(() => this.#writer.place(position, plain, frame), false)
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
    const { image, neededCount, map, aside, givenUp } = this.#states
    return {
      chunkCount: image.chunkCount,
      presentChunks: image.chunkCount - neededCount,
      machineWrittenBytes: map.writtenBytes,
      asideBytes: aside.usedBytes,
      asideGivenUp: givenUp.count
    }
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
      await zeroTarget({ states: this.#states, locks: this.#locks, target, metadata }, signal)
      await this.#recorder.flush()
    }, undefined)
  }

  /** Compares the target with the image, but for what the machine wrote. After `finish`. */
  verify(names: ChunkNames, options: VerifyOptions = {}): Promise<VerifyReport> {
    const { target } = this.#parts
    const parts = { states: this.#states, locks: this.#locks, target, clock: this.#clock }
    return this.#run(() => verifyTarget(parts, names, options))
  }

  /**
   * Takes back that a chunk's pristine blocks are there, and its frame if one was put aside: a chunk
   * that was found bad is needed again. What the machine wrote stays. Durable when it resolves.
   */
  distrust(position: number): Promise<void> {
    return this.#run(() =>
      this.#locks.run(position, 'exclusive', async () => {
        const { map, aside } = this.#states
        const { block, count } = map.chunk(position)
        this.#states.spoil()
        map.mark(block, count, masks.pristine, blockStates.missing)
        aside.forget(position)
        this.#states.refresh(position)
        if (!this.#handedOver) await this.#parts.metadata.checkpoint()
      })
    )
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
    this.#closing = true
    try {
      await this.#settled()
      await this.flush()
      await this.#change(() => this.#parts.metadata.markHandedOver(), undefined)
      this.#recorder.stop()
      this.#handedOver = true
    } finally {
      this.#closing = false
    }
  }

  /** Who waits is turned away with ERR_STOPPED; the rest is finished and flushed. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#demand.close(stopped())
    await this.#settled()
    try {
      if (this.#handedOver) return
      await this.#recorder.flush()
      this.#recorder.stop()
      await this.#parts.metadata.close(this.#states.blank)
    } finally {
      this.#recorder.stop()
      await this.#parts.release()
    }
  }

  /** Nothing is under way any more. */
  async #settled(): Promise<void> {
    if (this.#underWay === 0) return
    this.#idle ??= Promise.withResolvers<void>()
    await this.#idle.promise
  }

  /** For what changes the disk: once the machine has it, nothing does. */
  #change<T>(job: () => Promise<T>, otherwise: T): Promise<T> {
    return this.#handedOver ? Promise.resolve(otherwise) : this.#run(job)
  }

  async #run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw stopped()
    this.#underWay++
    try {
      return await job()
    } finally {
      if (--this.#underWay === 0) {
        this.#idle?.resolve()
        this.#idle = undefined
      }
    }
  }

  #absentParts(range: ByteRange): ChunkPart[] {
    const { block, count } = blocksOf(range)
    if (!this.#states.map.any(block, count, masks.missing)) return []
    const parts = partsOf(range, this.#parts.image.chunkSize)
    return parts.filter(part => this.#isAbsent(part))
  }

  #isAbsent(part: ChunkPart): boolean {
    const { map, zero } = this.#states
    const { block, count } = blocksOf(part)
    return !zero.has(part.position) && map.any(block, count, masks.missing)
  }

  #arrival(part: ChunkPart, signal: AbortSignal | undefined): Promise<void> {
    return this.#demand.wait(part.position, 'read', () => !this.#isAbsent(part), signal)
  }

  /** What is still missing here is zeros that are promised. */
  async #readPresent(range: ByteRange): Promise<Uint8Array> {
    const { target } = this.#parts
    const { map } = this.#states
    const { block, count } = blocksOf(range)
    if (!map.any(block, count, masks.missing)) return target.read(range.offset, range.length)
    const bytes = Buffer.alloc(range.length)
    const end = range.offset + range.length
    await Promise.all(
      map.runs(block, count, masks.present).map(async run => {
        const whole = bytesOf(run, this.size)
        const start = Math.max(whole.offset, range.offset)
        const stop = Math.min(whole.offset + whole.length, end)
        bytes.set(await target.read(start, stop - start), start - range.offset)
      })
    )
    return bytes
  }
}

function stopped(): BootswarmError {
  return new BootswarmError('ERR_STOPPED', 'the target disk is being closed')
}
