import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { BootswarmError, limits } from '../base/index.ts'
import {
  decodeIdentity,
  decodeSnapshot,
  encodeIdentity,
  encodeSnapshot,
  encodeSuperblock,
  identitySlotLength,
  pageBytes,
  regionsOf
} from './format.ts'
import type {
  ImageLayout,
  Regions,
  Snapshot,
  StoredIdentity,
  Superblock,
  WritesMode
} from './format.ts'
import { decodePage } from './journal-format.ts'
import type { JournalMark, JournalPage, JournalRecord } from './journal-format.ts'
import { corrupt, judgePages } from './journal-pages.ts'
import type { RecordedPage } from './journal-pages.ts'
import { Journal } from './journal.ts'
import { readManifestSlot, writeManifestSlot } from './manifest-slots.ts'
import type { Storage } from './storage.ts'

export interface NewMetadata {
  readonly image: ImageLayout
  readonly labKey: Uint8Array
  readonly asideBytes: number
  /** `limits.journalBytes` by default. */
  readonly journalBytes?: number
  /** Higher than that of whatever superblock lies at the same place. */
  readonly generation: number
  readonly identity: Uint8Array | undefined
  readonly writes?: WritesMode
  /** See `Superblock.metadataOffset`. */
  readonly metadataOffset?: number
  readonly carried?: Carried
}

/** What a new deployment knows of the target from the start, since an earlier one left it there. */
export interface Carried {
  readonly snapshot: Snapshot | undefined
  /** Chunks that lie where this image does not have them may still be moved. */
  readonly relocating: boolean
  readonly formerBytes: number
}

/** What was recorded when the metadata was last in use. */
export interface Recorded {
  /** Undefined: no block of the target is known. */
  readonly snapshot: Snapshot | undefined
  /** What has been said since, in order. */
  readonly pages: readonly RecordedPage[]
}

/**
 * The durable side of a target disk: what is recorded of its blocks, where put-aside frames lie, the
 * pinned image and lab, and the agent's identity (docs/disk-format.md). It knows nothing of the
 * target's data; what may be recorded when is its caller's business.
 */
export class Metadata {
  readonly regions: Regions
  readonly #storage: Storage
  #superblock: Superblock
  #journal: Journal | undefined
  #identity: StoredIdentity | undefined
  #superblockWork: Promise<void> = Promise.resolve()
  #capture: (() => Snapshot) | undefined
  #syncTarget: (() => Promise<void>) | undefined
  #markTarget = (): Promise<bigint> => Promise.resolve(0n)

  private constructor(storage: Storage, superblock: Superblock) {
    this.#storage = storage
    this.#superblock = superblock
    this.regions = regionsOf(superblock.image, superblock)
  }

  /** Lays out new metadata, durable when it resolves. */
  static async create(storage: Storage, options: NewMetadata): Promise<Metadata> {
    const { image, labKey, asideBytes, generation, identity } = options
    const { journalBytes = limits.journalBytes, carried } = options
    const metadata = new Metadata(storage, {
      instance: randomBytes(8),
      generation,
      image,
      labKey,
      complete: false,
      blank: false,
      clean: true,
      crashed: false,
      writes: options.writes ?? 'keep',
      relocating: carried?.relocating ?? false,
      handedOver: false,
      metadataOffset: options.metadataOffset ?? 0,
      formerBytes: carried?.formerBytes ?? 0,
      targetMark: 0n,
      snapshotSlot: 0,
      snapshotBytes: 0,
      snapshotCrc: 0,
      epoch: 0,
      journalBytes,
      asideBytes
    })
    await metadata.#reserve()
    if (identity !== undefined) await metadata.#writeIdentity(identity)
    const snapshot = carried?.snapshot && (await metadata.#writeSnapshot(carried.snapshot))
    await storage.sync()
    await metadata.#updateSuperblock({ ...snapshot })
    return metadata
  }

  /**
   * Gives the place of an earlier deployment, whose regions the new one shares, to a new one; all of
   * it or nothing, whenever the power goes. The identity stays, manifest blocks are to be kept anew.
   */
  static async replace(
    storage: Storage,
    former: Superblock,
    { image, writes, carried }: Pick<Superblock, 'image' | 'writes'> & { carried: Carried }
  ): Promise<Metadata> {
    const metadata = await Metadata.load(storage, former)
    await metadata.#requireDurable()
    const { snapshot, relocating, formerBytes } = carried
    const written = snapshot === undefined ? noSnapshot : await metadata.#writeSnapshot(snapshot)
    await storage.sync()
    await metadata.#updateSuperblock({
      ...written,
      image,
      writes,
      relocating,
      formerBytes,
      instance: randomBytes(8),
      complete: false,
      blank: false,
      clean: true,
      crashed: false,
      handedOver: false,
      epoch: former.epoch + 2
    })
    return metadata
  }

  /** Opens what a superblock in force describes. */
  static async load(storage: Storage, superblock: Superblock): Promise<Metadata> {
    const metadata = new Metadata(storage, superblock)
    metadata.#identity = await readIdentity(storage, superblock)
    return metadata
  }

  get superblock(): Superblock {
    return this.#superblock
  }

  get identity(): Uint8Array | undefined {
    return this.#identity?.identity
  }

  /** ERR_METADATA_CORRUPT if the recorded states cannot be known. Before `begin`. */
  async readRecorded(): Promise<Recorded> {
    return { snapshot: await this.#readSnapshot(), pages: await this.#readJournal() }
  }

  /**
   * Starts recording, with a checkpoint, so that old journal pages are never mistaken for new ones.
   * `capture` is asked at each checkpoint for all that has been recorded; `syncTarget` then makes the
   * data durable that it speaks of.
   */
  async begin(capture: () => Snapshot, syncTarget: () => Promise<void>): Promise<void> {
    this.#capture = capture
    this.#syncTarget = syncTarget
    await this.#requireDurable()
    // Epochs that the last run may have written: the superblock's, and the one after it.
    const epoch = this.#superblock.epoch + 2
    await this.#checkpoint(epoch)
    this.#journal = new Journal({
      storage: this.#storage,
      regions: this.regions,
      instance: this.#superblock.instance,
      epoch,
      checkpoint: next => this.#checkpoint(next)
    })
  }

  /** See `Journal.append`. */
  append(records: Iterable<JournalRecord>): Promise<void> {
    return this.#begun().append(records)
  }

  /** See `Journal.mark`. */
  mark(): JournalMark {
    return this.#begun().mark()
  }

  /** See `Journal.confirm`. */
  confirm(mark: JournalMark): void {
    this.#begun().confirm(mark)
  }

  /** Something of it may be lost until a `sync`. */
  get dirty(): boolean {
    return this.#storage.dirty
  }

  /** Resolves when all that was appended and put aside before the call is durable. */
  async sync(): Promise<void> {
    if (this.#storage.dirty) await this.#storage.sync()
  }

  /** Makes durable that states went back, which records cannot say. */
  async checkpoint(): Promise<void> {
    await this.#begun().turn()
  }

  async setIdentity(identity: Uint8Array): Promise<void> {
    await this.#writeIdentity(identity)
    await this.#storage.sync()
  }

  async markComplete(): Promise<void> {
    if (this.#superblock.complete) return
    await this.#updateSuperblock({ complete: true, targetMark: await this.#markTarget() })
  }

  /** How to learn `Superblock.targetMark`; without it, that is not known. */
  onTarget(mark: () => Promise<bigint>): void {
    this.#markTarget = mark
  }

  /** Every chunk that was to be moved is where the image has it, or given up; durable. */
  async endRelocation(): Promise<void> {
    await this.#updateSuperblock({ relocating: false, formerBytes: 0 })
  }

  /** From now on the machine uses the disk without the agent; durable when it resolves. */
  async markHandedOver(): Promise<void> {
    if (!this.#superblock.handedOver) await this.#updateSuperblock({ handedOver: true })
  }

  readAside(offset: number, length: number): Promise<Buffer> {
    return this.#storage.read(this.regions.asideOffset + offset, length)
  }

  writeAside(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#storage.write(this.regions.asideOffset + offset, bytes)
  }

  /** Durable when it resolves. */
  async keepManifestBlock(slot: number, block: Uint8Array): Promise<void> {
    const { manifestOffset } = this.regions
    await writeManifestSlot(this.#storage, manifestOffset, this.#superblock.image, slot, block)
    await this.#storage.sync()
  }

  manifestBlock(slot: number): Promise<Uint8Array | undefined> {
    const { manifestOffset } = this.regions
    return readManifestSlot(this.#storage, manifestOffset, this.#superblock.image, slot)
  }

  /** After everything has been recorded and synced. */
  async close(blank: boolean): Promise<void> {
    await this.#journal?.idle()
    const targetMark = this.#superblock.complete ? await this.#markTarget() : 0n
    await this.#updateSuperblock({ blank, clean: true, targetMark })
    await this.#superblockWork
  }

  #begun(): Journal {
    if (this.#journal === undefined) throw new BootswarmError('ERR_INTERNAL', 'metadata not begun')
    return this.#journal
  }

  async #reserve(): Promise<void> {
    // Written, not only left as a hole: a full file system must not make recording impossible, and
    // syncing pages that have their place already is cheaper.
    const end = this.regions.asideOffset
    const piece = Buffer.alloc(1024 * 1024)
    for (let offset = pageBytes; offset < end; offset += piece.length) {
      await this.#storage.write(offset, piece.subarray(0, Math.min(piece.length, end - offset)))
    }
  }

  /** Each snapshot is kept twice, so that a damaged sector in one does not matter. */
  async #readSnapshot(): Promise<Snapshot | undefined> {
    const { snapshotBytes, snapshotSlot, snapshotCrc, image } = this.#superblock
    if (snapshotBytes === 0) return undefined
    for (const slot of [snapshotSlot, 1 - snapshotSlot] as (0 | 1)[]) {
      const offset = this.regions.snapshotOffsets[slot]
      const bytes = await this.#storage.read(offset, snapshotBytes).catch(ignoreFailure)
      if (bytes === undefined || crc32(bytes) !== snapshotCrc) continue
      const snapshot = decodeSnapshot(bytes, image)
      if (snapshot !== undefined) return snapshot
    }
    throw corrupt('both copies of its presence map are damaged')
  }

  async #readJournal(): Promise<RecordedPage[]> {
    const { journalOffsets, journalHalfBytes } = this.regions
    const { instance, epoch } = this.#superblock
    const pages: JournalPage[] = []
    const bytes = await this.#storage.read(journalOffsets[0], 2 * journalHalfBytes)
    for (let start = 0; start < bytes.length; start += pageBytes) {
      const page = decodePage(bytes.subarray(start, start + pageBytes))
      if (page === undefined || Buffer.compare(page.instance, instance) !== 0 || page.epoch < epoch)
        continue
      if (page.epoch > epoch + 1) throw corrupt('its newer superblock is lost')
      pages.push(page)
    }
    return judgePages(pages, epoch)
  }

  async #writeIdentity(identity: Uint8Array): Promise<void> {
    const generation = (this.#identity?.generation ?? 0) + 1
    const slot = generation % 2 === 0 ? 0 : 1
    await this.#storage.write(
      this.regions.identityOffsets[slot],
      encodeIdentity(identity, generation)
    )
    this.#identity = { generation, identity: new Uint8Array(identity) }
  }

  /**
   * What was read here may only be in the page cache, if the last process was killed. What it replaced
   * must not be overwritten before it is durable itself.
   */
  async #requireDurable(): Promise<void> {
    await this.#storage.sync()
  }

  /** Into the slot that is not in force; resolves to what a superblock has to say of it. */
  async #writeSnapshot(snapshot: Snapshot) {
    const bytes = encodeSnapshot(snapshot)
    const snapshotSlot = this.#superblock.snapshotSlot === 0 ? 1 : 0
    await this.#storage.write(this.regions.snapshotOffsets[snapshotSlot], bytes)
    return { snapshotSlot, snapshotBytes: bytes.length, snapshotCrc: crc32(bytes) } as const
  }

  async #checkpoint(epoch: number): Promise<void> {
    if (this.#capture === undefined) throw new BootswarmError('ERR_INTERNAL', 'nothing to capture')
    const snapshot = this.#capture()
    const { snapshotSlot, crashed, clean } = this.#superblock
    const written = await this.#writeSnapshot(snapshot)
    await Promise.all([this.#storage.sync(), this.#syncTarget?.()])
    const begins = this.#journal === undefined
    await this.#updateSuperblock({
      ...written,
      epoch,
      // From here on blocks may be written that no record speaks of yet.
      blank: false,
      clean: false,
      crashed: crashed || (begins && !clean)
    })
    // The second copy, in the slot that is free now; the next checkpoint begins there.
    await this.#storage.write(this.regions.snapshotOffsets[snapshotSlot], encodeSnapshot(snapshot))
  }

  /** One after the other, and the second copy only once the first is durable. */
  #updateSuperblock(changes: Partial<Superblock>): Promise<void> {
    const done = this.#superblockWork.then(async () => {
      const generation = this.#superblock.generation + 1
      this.#superblock = { ...this.#superblock, ...changes, generation }
      const bytes = encodeSuperblock(this.#superblock)
      await this.#storage.write(0, bytes)
      await this.#storage.sync()
      await this.#storage.write(this.#storage.size - pageBytes, bytes)
      await this.#storage.sync()
    })
    this.#superblockWork = done.catch(() => {
      // The caller has the rejection; what comes after tries for itself.
    })
    return done
  }
}

const noSnapshot = { snapshotBytes: 0, snapshotCrc: 0 } as const

/** The newer intact identity slot, if any. */
export async function readIdentity(
  storage: Storage,
  superblock: Superblock
): Promise<StoredIdentity | undefined> {
  const { identityOffsets } = regionsOf(superblock.image, superblock)
  const slots = await Promise.all(
    identityOffsets.map(async offset =>
      decodeIdentity(await storage.read(offset, identitySlotLength))
    )
  )
  return slots
    .filter(slot => slot !== undefined)
    .sort((a, b) => b.generation - a.generation)
    .at(0)
}

function ignoreFailure(): undefined {}
