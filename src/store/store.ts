import type { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, ChunkStore, Frame, SigningKey } from '../base/index.ts'
import { readManifest, sourceOf, zeroId } from '../image/index.ts'
import type { ImportResult, Release } from '../image/index.ts'
import { BootReports } from './boot-reports.ts'
import type { BootReport } from './boot-reports.ts'
import { Catalogue } from './catalogue.ts'
import type { ImageRecord, Resolved, SignedRelease } from './catalogue.ts'
import { ChunkAppender } from './chunk-appender.ts'
import { ChunkIndex } from './chunk-index.ts'
import { databaseError } from './database.ts'
import { frameBytesMax, recordHeaderBytes, storeFiles } from './format.ts'
import { GarbageCollector, type Garbage } from './garbage.ts'
import { PackReader } from './pack-reader.ts'
import { allocatePack } from './pack-writer.ts'
import { readSecretFile, writeSecretFile } from './secrets.ts'
import { whileKept, whileNobodyAdds, withStoreLock } from './store-lock.ts'
import { UsedTickets, type TicketUse } from './used-tickets.ts'

/** Numbers that a test may want smaller. */
export interface StoreOptions {
  readonly packBytesMax?: number
  readonly unsyncedBytesMax?: number
  readonly unsyncedMs?: number
}

export interface GarbageOptions {
  /** Counts only. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
}

export interface Collected extends Garbage {
  /** Of the bytes, those that the file system cannot take back. */
  readonly bytesKept: number
}

export interface StoreParts {
  readonly directory: string
  readonly database: DatabaseSync
  readonly lab: SigningKey
  readonly enrolSecret: Uint8Array
  readonly options: StoreOptions
}

/**
 * A store: chunk frames, images, releases and the lab's secrets in one directory. Several processes
 * may have it open at once; what one has synced the others see at their next question.
 */
export class Store implements ChunkStore {
  readonly directory: string
  /** The key of the lab, made with the store. */
  readonly lab: SigningKey
  /** 32 bytes, made with the store: who knows them may ask for a machine's certificate. */
  readonly enrolSecret: Uint8Array
  readonly #database: DatabaseSync
  readonly #index: ChunkIndex
  readonly #reader: PackReader
  readonly #appender: ChunkAppender
  readonly #catalogue: Catalogue
  readonly #boots: BootReports

  constructor({ directory, database, lab, enrolSecret, options }: StoreParts) {
    this.directory = directory
    this.lab = lab
    this.enrolSecret = enrolSecret
    this.#database = database
    const packs = join(directory, storeFiles.packs)
    const index = new ChunkIndex(database)
    this.#index = index
    this.#reader = new PackReader(packs)
    this.#appender = new ChunkAppender({
      index,
      allocate: () => withStoreLock(directory, () => allocatePack(packs, index)),
      packBytesMax: options.packBytesMax ?? limits.packBytesMax,
      unsyncedBytesMax: options.unsyncedBytesMax ?? limits.unsyncedBytesMax,
      unsyncedMs: options.unsyncedMs ?? limits.unsyncedMs
    })
    this.#catalogue = new Catalogue(database, lab)
    this.#boots = new BootReports(database)
  }

  has(id: ChunkId): boolean {
    return this.#locate(id) !== undefined
  }

  /** One pread. ERR_STORE_CORRUPT, naming the pack, if the record there is not intact. */
  async get(id: ChunkId): Promise<Frame | undefined> {
    const location = this.#locate(id)
    if (location === undefined) return undefined
    try {
      return await this.#reader.read(id, location)
    } catch (error) {
      // Thrown away while it was being read, by another process, and perhaps stored anew since.
      const now = this.#locate(id)
      if (now === undefined) return undefined
      if (now.pack === location.pack && now.offset === location.offset) throw error
      return await this.#reader.read(id, now)
    }
  }

  /** Bytes of a chunk's frame; undefined when it is not here. */
  frameBytes(id: ChunkId): number | undefined {
    const location = this.#locate(id)
    return location && location.length - recordHeaderBytes
  }

  /**
   * Resolves once the frame is written; it is durable, and seen by other processes, after `sync`, or
   * by itself about a second later. ERR_DISK_FULL, ERR_DISK_IO.
   */
  async put(id: ChunkId, frame: Frame): Promise<void> {
    if (frame.bytes.length > frameBytesMax || id === zeroId) {
      throw new BootswarmError('ERR_INTERNAL', `chunk ${id} cannot be stored`)
    }
    if (!this.has(id)) await this.#appender.put(id, frame)
  }

  /** Makes every chunk durable whose put has resolved. */
  async sync(): Promise<void> {
    await this.#appender.sync().catch((error: unknown) => {
      throw this.#named(error)
    })
  }

  /** Takes an image whose chunks and manifest have all been put into the catalogue. */
  async addImage(image: Omit<ImportResult, 'newBytes'>, nowMs = Date.now()): Promise<void> {
    await this.sync()
    this.#asked(() => this.#catalogue.addImage(image, nowMs))
  }

  /** Signs and keeps that `name:tag` is an image of this store; see `Catalogue.addRelease`. */
  async addRelease(
    move: Pick<Release, 'name' | 'tag' | 'imageId'>,
    nowMs = Date.now()
  ): Promise<SignedRelease> {
    await this.sync()
    return this.#asked(() => this.#catalogue.addRelease(move, nowMs))
  }

  image(imageId: ChunkId): ImageRecord | undefined {
    return this.#asked(() => this.#catalogue.image(imageId))
  }

  images(): ImageRecord[] {
    return this.#asked(() => this.#catalogue.images())
  }

  releases(): SignedRelease[] {
    return this.#asked(() => this.#catalogue.releases())
  }

  /** An image by name, name and tag, or CID. ERR_NAME_INVALID for text that is none of them. */
  resolve(nameOrCid: string): Resolved | undefined {
    return this.#asked(() => this.#catalogue.resolve(nameOrCid))
  }

  /** Forgets a name, and its image when it has no other (true). ERR_IMAGE_UNKNOWN. */
  removeRelease(name: string, tag: string): boolean {
    return this.#asked(() => this.#catalogue.removeRelease(name, tag))
  }

  /** Forgets an image that has no name. ERR_IMAGE_UNKNOWN, ERR_IMAGE_NAMED. */
  removeImage(imageId: ChunkId): void {
    this.#asked(() => this.#catalogue.removeImage(imageId))
  }

  /** Runs an import: what it finds here is not thrown away before its image is in the catalogue. */
  adding<Result>(work: () => Promise<Result>): Promise<Result> {
    return whileKept(this.directory, work)
  }

  /**
   * Throws away the chunks that no image needs; `dryRun` only counts them. ERR_STORE_BUSY while
   * somebody adds an image; ERR_CHUNK_MISSING, ERR_CHUNK_CORRUPT when an image is not whole: nothing
   * is thrown away then.
   */
  collectGarbage({ dryRun, signal }: GarbageOptions): Promise<Collected> {
    return whileNobodyAdds(this.directory, async () => {
      const collector = new GarbageCollector(
        this.#database,
        this.#index,
        join(this.directory, storeFiles.packs)
      )
      for (const { imageId } of this.images()) {
        collector.need(imageId, await readManifest(imageId, sourceOf(this), signal))
      }
      const garbage = collector.found()
      if (dryRun === true) return { ...garbage, bytesKept: 0 }
      return { ...garbage, bytesKept: await collector.throwAway() }
    })
  }

  /** See UsedTickets.use. */
  useTicket(nonce: Uint8Array, use: TicketUse): boolean {
    return this.#asked(() => new UsedTickets(this.#database).use(nonce, use))
  }

  /** Keeps what a machine's boot read, in place of what it said before. */
  addBootReport(report: BootReport, nowMs = Date.now()): void {
    this.#asked(() => this.#boots.add(report, this.#namesOf(report.imageId), nowMs))
  }

  /** The last boots of an image, one a machine, newest first; at most `limits.bootReportsMax`. */
  bootReports(imageId: ChunkId): BootReport[] {
    return this.#asked(() => this.#boots.of(imageId))
  }

  /** The image that was booted last of those that had this one's name before it. */
  formerlyBooted(imageId: ChunkId): ChunkId | undefined {
    return this.#asked(() => this.#boots.formerOf(imageId, this.#namesOf(imageId)))
  }

  readSecret(name: string): Promise<Uint8Array | undefined> {
    return readSecretFile(this.directory, name)
  }

  /** Replaces a secret file as a whole; mode 0600. */
  writeSecret(name: string, bytes: Uint8Array): Promise<void> {
    return writeSecretFile(this.directory, name, bytes)
  }

  /** Syncs and lets go of everything. The store must not be used afterwards. */
  async close(): Promise<void> {
    try {
      await this.#appender.close()
    } catch (error) {
      throw this.#named(error)
    } finally {
      await this.#reader.close()
      this.#database.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Without their tags: `debian:13` goes on where `debian:12` was. */
  #namesOf(imageId: ChunkId): string[] {
    const releases = this.#catalogue.releases().filter(release => release.imageId === imageId)
    return [...new Set(releases.map(({ name }) => name))]
  }

  #locate(id: ChunkId) {
    return this.#appender.find(id) ?? this.#asked(() => this.#index.find(id))
  }

  #asked<Answer>(question: () => Answer): Answer {
    try {
      return question()
    } catch (error) {
      throw this.#named(error)
    }
  }

  #named(error: unknown): unknown {
    return databaseError(error, join(this.directory, storeFiles.index))
  }
}
