import { crc32 } from 'node:zlib'
import type { Frame, Logger } from '../base/index.ts'
import { pageBytes, wholePages } from './format.ts'
import type { AsideEntry } from './format.ts'
import type { Metadata } from './metadata.ts'

/** Pristine frames of chunks that the machine wrote into, in a bounded part of the metadata. */
export class AsideArea {
  readonly #metadata: Metadata
  readonly #logger: Logger
  readonly #entries = new Map<number, AsideEntry>()
  readonly #pageCount: number
  #nextPage = 0

  constructor(metadata: Metadata, logger: Logger) {
    this.#metadata = metadata
    this.#logger = logger
    this.#pageCount = metadata.superblock.asideBytes / pageBytes
  }

  get usedBytes(): number {
    return this.#nextPage * pageBytes
  }

  get full(): boolean {
    return this.#nextPage >= this.#pageCount
  }

  get entries(): readonly AsideEntry[] {
    return [...this.#entries.values()]
  }

  has(position: number): boolean {
    return this.#entries.has(position)
  }

  /** Takes over an entry that was recorded. False if it does not lie in the area. */
  restore(entry: AsideEntry): boolean {
    const end = entry.page + wholePages(entry.length) / pageBytes
    if (end > this.#pageCount) return false
    this.#entries.set(entry.position, entry)
    this.#nextPage = Math.max(this.#nextPage, end)
    return true
  }

  /** Resolves when the frame is written, not yet synced; false if there is no room for it. */
  async put(position: number, frame: Frame): Promise<boolean> {
    const pages = wholePages(frame.bytes.length) / pageBytes
    if (this.#nextPage + pages > this.#pageCount) return false
    const page = this.#nextPage
    this.#nextPage += pages
    const entry = {
      position,
      page,
      length: frame.bytes.length,
      plainLength: frame.plainLength,
      encoding: frame.encoding,
      crc: crc32(frame.bytes)
    }
    try {
      await this.#metadata.writeAside(page * pageBytes, frame.bytes)
      this.#entries.set(position, entry)
      await this.#metadata.append([{ kind: 'aside', entry }])
    } catch (error) {
      // The machine's write matters more than the copy: the chunk is given up, not the write.
      this.#entries.delete(position)
      this.#logger.warn('a pristine chunk cannot be put aside', { position, error })
      return false
    }
    return true
  }

  /** Undefined if the frame is not there, or was lost in a crash. */
  async get(position: number): Promise<Frame | undefined> {
    const entry = this.#entries.get(position)
    if (entry === undefined) return undefined
    const { page, length, plainLength, encoding, crc } = entry
    const bytes = await this.#metadata.readAside(page * pageBytes, length)
    if (crc32(bytes) === crc) return { encoding, plainLength, bytes }
    this.forget(position)
    this.#logger.warn('a frame that was put aside is damaged', { position })
    return undefined
  }

  /** Forgets everything; what lies in the area may be overwritten. */
  clear(): void {
    this.#entries.clear()
    this.#nextPage = 0
  }

  forget(position: number): void {
    this.#entries.delete(position)
  }
}
