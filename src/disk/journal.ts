import { BootswarmError } from '../base/index.ts'
import { pageBytes } from './format.ts'
import type { Regions } from './format.ts'
import { encodePage, RecordPacker } from './journal-format.ts'
import type { JournalMark, JournalRecord } from './journal-format.ts'
import type { Storage } from './storage.ts'

interface Batch {
  readonly packer: RecordPacker
  readonly written: Promise<void>
}

export interface JournalOptions {
  readonly storage: Storage
  readonly regions: Regions
  readonly instance: Uint8Array
  /** The first epoch to write. */
  readonly epoch: number
  /** Makes durable all that was appended in epochs before `epoch`, so that their half is free. */
  readonly checkpoint: (epoch: number) => Promise<void>
}

/**
 * The presence journal: two halves in turn, each a row of pages that are written once. An epoch is
 * one filling of a half. When one is full, the next epoch begins in the other half while a checkpoint
 * makes the first one superfluous. Records that are appended at the same time share a page.
 */
export class Journal {
  readonly #options: JournalOptions
  readonly #pagesPerHalf: number
  /** One at a time is written; a new one for each flush is what the garbage collector would mostly have to do. */
  readonly #page = Buffer.alloc(pageBytes)
  #epoch: number
  #nextPage = 0
  #open: Batch | undefined
  #confirmed: JournalMark
  #work: Promise<void> = Promise.resolve()
  #checkpoint: Promise<void> = Promise.resolve()
  #failure: BootswarmError | undefined

  constructor(options: JournalOptions) {
    this.#options = options
    this.#pagesPerHalf = options.regions.journalHalfBytes / pageBytes
    this.#epoch = options.epoch
    this.#confirmed = { epoch: options.epoch, pages: 0 }
  }

  /**
   * Resolves when the records are written, not yet synced. Whatever the records say must be true from
   * the call on, since a checkpoint at any later moment takes it from memory. After one failure every
   * append fails: a record that is not there must not be thought to be. Without records a page is
   * written all the same, to state what is confirmed.
   */
  append(records: Iterable<JournalRecord>): Promise<void> {
    const batch = (this.#open ??= this.#newBatch())
    for (const record of records) batch.packer.add(record)
    return batch.written
  }

  /** The end of what has been written. */
  mark(): JournalMark {
    return { epoch: this.#epoch, pages: this.#nextPage }
  }

  /** All before the mark, and the data of its records, is on stable storage; the next page says so. */
  confirm(mark: JournalMark): void {
    this.#confirmed = mark
  }

  /** Resolves when a checkpoint that began after the call is durable. */
  async turn(): Promise<void> {
    await this.#enqueue(() => this.#turn())
    await this.#checkpoint
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#work
    await this.#checkpoint.catch(ignore)
  }

  #newBatch(): Batch {
    const packer = new RecordPacker()
    const written = this.#enqueue(() => {
      this.#open = undefined
      packer.finish()
      return this.#write(packer.bodies.length > 0 ? packer.bodies : [Buffer.alloc(0)])
    })
    return { packer, written }
  }

  #enqueue(job: () => Promise<void>): Promise<void> {
    const done = this.#work.then(async () => {
      if (this.#failure !== undefined) {
        this.#open = undefined
        throw this.#failure
      }
      try {
        await job()
      } catch (error) {
        this.#failure = asFailure(error)
        throw this.#failure
      }
    })
    this.#work = done.catch(ignore)
    return done
  }

  async #write(bodies: readonly Buffer[]): Promise<void> {
    for (let done = 0; done < bodies.length;) {
      if (this.#nextPage === this.#pagesPerHalf) await this.#turn()
      const count = Math.min(bodies.length - done, this.#pagesPerHalf - this.#nextPage)
      await this.#writePages(bodies.slice(done, done + count))
      done += count
    }
  }

  async #writePages(bodies: readonly Buffer[]): Promise<void> {
    const { storage, regions, instance } = this.#options
    const pages = bodies.length === 1 ? this.#page.fill(0) : Buffer.alloc(bodies.length * pageBytes)
    for (const [index, body] of bodies.entries()) {
      const page = pages.subarray(index * pageBytes, (index + 1) * pageBytes)
      const place = { instance, epoch: this.#epoch, index: this.#nextPage + index }
      encodePage(page, { ...place, confirmed: this.#confirmed }, body)
    }
    const start = regions.journalOffsets[this.#epoch % 2 === 0 ? 0 : 1]
    const offset = start + this.#nextPage * pageBytes
    if (storage.writeNow?.(offset, pages) !== true) await storage.write(offset, pages)
    this.#nextPage += bodies.length
  }

  /** Goes on in the other half, once the checkpoint that frees it is durable. */
  async #turn(): Promise<void> {
    await this.#checkpoint
    this.#epoch++
    this.#nextPage = 0
    this.#checkpoint = this.#options.checkpoint(this.#epoch)
    this.#checkpoint.catch(ignore)
  }
}

// Whoever asked gets the rejection from the promise that it holds.
function ignore(): void {}

function asFailure(error: unknown): BootswarmError {
  if (error instanceof BootswarmError) return error
  return new BootswarmError('ERR_DISK_IO', 'the disk metadata cannot be written', { cause: error })
}
