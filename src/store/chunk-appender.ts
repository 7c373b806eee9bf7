import type { ChunkId, Frame } from '../base/index.ts'
import type { ChunkIndex, Location } from './chunk-index.ts'
import { encodeRecord } from './format.ts'
import type { PackWriter } from './pack-writer.ts'

export interface AppenderOptions {
  readonly index: ChunkIndex
  readonly allocate: () => Promise<PackWriter>
  readonly packBytesMax: number
  readonly unsyncedBytesMax: number
  readonly unsyncedMs: number
}

/**
 * Puts chunks into packs, crash-safe: a record's bytes reach stable storage before the index speaks
 * of it. Both happen for many records at once, every so many bytes or milliseconds.
 */
export class ChunkAppender {
  readonly #options: AppenderOptions
  /** Puts under way, so that a second one of the same chunk joins the first. */
  readonly #putting = new Map<ChunkId, Promise<void>>()
  /** Appends under way in the current pack: it is not closed before they have ended. */
  readonly #recording = new Set<Promise<void>>()
  /** In the current pack, not yet in the index. */
  readonly #unsynced = new Map<ChunkId, Location>()
  #unsyncedBytes = 0
  #writer: PackWriter | undefined
  #rolling: Promise<void> | undefined
  #syncing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** After a failed flush nobody knows what the disk holds: nothing more is appended. */
  #failure: unknown

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** Where a chunk lies that the index does not know of yet. */
  find(id: ChunkId): Location | undefined {
    return this.#unsynced.get(id)
  }

  /** Resolves once the record is written, not yet durable; errors as of the file. */
  put(id: ChunkId, frame: Frame): Promise<void> {
    const known = this.#putting.get(id)
    if (known !== undefined) return known
    const putting = this.#append(id, frame).finally(() => this.#putting.delete(id))
    this.#putting.set(id, putting)
    return putting
  }

  /** Resolves when every chunk whose put has resolved is durable and in the index. */
  sync(): Promise<void> {
    const run = this.#syncing.then(() => this.#syncNow())
    this.#syncing = run.catch(() => {})
    return run
  }

  async close(): Promise<void> {
    try {
      await Promise.allSettled(this.#putting.values())
      await this.sync()
    } finally {
      clearTimeout(this.#timer)
      await this.#writer?.close()
      this.#writer = undefined
    }
  }

  async #append(id: ChunkId, frame: Frame): Promise<void> {
    let writer = this.#writerWithRoom()
    while (writer === undefined) {
      await this.#rollOver()
      writer = this.#writerWithRoom()
    }
    const recording = this.#record(writer, id, frame)
    this.#recording.add(recording)
    await recording.finally(() => this.#recording.delete(recording))
    if (this.#unsyncedBytes >= this.#options.unsyncedBytesMax) await this.sync()
    else this.#timer ??= setTimeout(() => this.#syncLater(), this.#options.unsyncedMs)
  }

  async #record(writer: PackWriter, id: ChunkId, frame: Frame): Promise<void> {
    const location = await writer.append(encodeRecord(id, frame))
    this.#unsynced.set(id, location)
    this.#unsyncedBytes += location.length
  }

  #writerWithRoom(): PackWriter | undefined {
    if (this.#failure !== undefined) throw this.#failure as Error
    const hasRoom = this.#writer !== undefined && this.#writer.length < this.#options.packBytesMax
    return hasRoom ? this.#writer : undefined
  }

  #rollOver(): Promise<void> {
    this.#rolling ??= this.#replaceWriter().finally(() => (this.#rolling = undefined))
    return this.#rolling
  }

  async #replaceWriter(): Promise<void> {
    const full = this.#writer
    if (full !== undefined) {
      await Promise.allSettled(this.#recording)
      await this.sync()
      this.#writer = undefined
      await full.close()
    }
    this.#writer = await this.#options.allocate()
  }

  async #syncNow(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#failure !== undefined) throw this.#failure as Error
    const batch = [...this.#unsynced]
    if (batch.length === 0) return
    await this.#writer?.flush().catch((error: unknown) => {
      this.#failure = error
      throw error
    })
    this.#options.index.add(batch)
    for (const [id, { length }] of batch) {
      this.#unsynced.delete(id)
      this.#unsyncedBytes -= length
    }
  }

  #syncLater(): void {
    // What fails here stays unsynced, and the next sync or close fails with it.
    this.sync().catch(() => {})
  }
}
