import { crc32 } from 'node:zlib'
import { limits } from '../base/index.ts'
import type { Frame, Logger } from '../base/index.ts'
import { plainFrame } from '../image/index.ts'
import { pageBytes, wholePages } from './format.ts'
import type { AsideEntry } from './format.ts'
import type { Metadata } from './metadata.ts'

/** A chunk as it was before the machine wrote into it, on its way to the area. */
interface Coming {
  readonly plain: Uint8Array
  readonly encodeFrame: (plain: Uint8Array) => Promise<Frame>
  /** There was no room for it, or the area cannot be written: it is not kept. */
  readonly onRefused: () => void
}

interface Placed {
  readonly entry: AsideEntry
  readonly bytes: Uint8Array
}

/** Frames that are written and recorded together. */
const comingAtOnce = 8

/** Pristine frames of chunks that the machine wrote into, in a bounded part of the metadata. */
export class AsideArea {
  readonly #metadata: Metadata
  readonly #logger: Logger
  readonly #entries = new Map<number, AsideEntry>()
  readonly #coming = new Map<number, Coming>()
  readonly #pageCount: number
  #nextPage = 0
  #working: Promise<void> | undefined

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

  /** Those in the area. */
  get entries(): readonly AsideEntry[] {
    return [...this.#entries.values()]
  }

  /** In the area, or on its way there. */
  has(position: number): boolean {
    return this.#entries.has(position) || this.#coming.has(position)
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
    const placed = this.#placeFor(position, frame)
    if (placed === undefined) return false
    try {
      await this.#write([placed])
      await this.#record([placed.entry])
    } catch (error) {
      // The machine's write matters more than the copy: the chunk is given up, not the write.
      this.#entries.delete(position)
      this.#logger.warn('a pristine chunk cannot be put aside', { position, error })
      return false
    }
    return true
  }

  /**
   * Takes a chunk that is held in memory until its frame is in the area, which takes its time. It is
   * had from here on; `onRefused` comes later, if it does.
   */
  bring(position: number, coming: Coming): void {
    this.#coming.set(position, coming)
    this.#working ??= this.#bringAll().finally(() => (this.#working = undefined))
  }

  /** Settles when there is memory for more chunks on their way; undefined when there is now. */
  get crowded(): Promise<void> | undefined {
    let bytes = 0
    for (const { plain } of this.#coming.values()) bytes += plain.length
    return bytes >= limits.asideComingBytesMax ? this.settled() : undefined
  }

  /** Resolves when nothing is on its way any more: written, not yet synced. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  /** Undefined if the frame is not there, or was lost in a crash. */
  async get(position: number): Promise<Frame | undefined> {
    const coming = this.#coming.get(position)
    if (coming !== undefined) return plainFrame(coming.plain)
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
    this.#coming.clear()
    this.#nextPage = 0
  }

  forget(position: number): void {
    this.#entries.delete(position)
    this.#coming.delete(position)
  }

  async #bringAll(): Promise<void> {
    while (this.#coming.size > 0) await this.#bringSome([...this.#coming].slice(0, comingAtOnce))
  }

  async #bringSome(some: readonly (readonly [number, Coming])[]): Promise<void> {
    // What was forgotten meanwhile is left out, if it was brought anew, too.
    const isStill = (position: number, coming: Coming | undefined): boolean =>
      coming !== undefined && this.#coming.get(position) === coming
    const byPosition = new Map(some)
    try {
      const frames = await Promise.all(
        some.map(async ([position, { plain, encodeFrame }]) => ({
          position,
          frame: await encodeFrame(plain)
        }))
      )
      const placed = frames
        .filter(({ position }) => isStill(position, byPosition.get(position)))
        .flatMap(({ position, frame }) => this.#placeFor(position, frame) ?? [])
      await this.#write(placed)
      const entries = placed.map(({ entry }) => entry)
      await this.#record(
        entries.filter(({ position }) => isStill(position, byPosition.get(position)))
      )
    } catch (error) {
      for (const position of byPosition.keys()) this.#entries.delete(position)
      this.#logger.warn('pristine chunks cannot be put aside', { error })
    }
    for (const [position, coming] of some) {
      if (!isStill(position, coming)) continue
      this.#coming.delete(position)
      if (!this.#entries.has(position)) coming.onRefused()
    }
  }

  /** What was given places in the same turn, and so lies in a row. */
  async #write(placed: readonly Placed[]): Promise<void> {
    const [first] = placed
    if (first === undefined) return
    const bytes = placed.length === 1 ? first.bytes : Buffer.concat(placed.map(padded))
    await this.#metadata.writeAside(first.entry.page * pageBytes, bytes)
  }

  /** They count from the call on: a checkpoint has to contain them. */
  async #record(entries: readonly AsideEntry[]): Promise<void> {
    for (const entry of entries) this.#entries.set(entry.position, entry)
    if (entries.length === 0) return
    await this.#metadata.append(entries.map(entry => ({ kind: 'aside', entry })))
  }

  #placeFor(position: number, frame: Frame): Placed | undefined {
    const pages = wholePages(frame.bytes.length) / pageBytes
    if (this.#nextPage + pages > this.#pageCount) return undefined
    const page = this.#nextPage
    this.#nextPage += pages
    const { bytes, plainLength, encoding } = frame
    const entry = { position, page, length: bytes.length, plainLength, encoding, crc: crc32(bytes) }
    return { entry, bytes }
  }
}

function padded({ bytes }: Placed): Buffer {
  const pages = Buffer.alloc(wholePages(bytes.length))
  pages.set(bytes)
  return pages
}
