import { BootswarmError } from '../base/index.ts'
import type { AsideArea } from './aside.ts'
import { Bitmap } from './bitmap.ts'
import type { ImageLayout, Snapshot } from './format.ts'
import type { JournalRecord } from './journal-format.ts'
import { blockStates, masks, PresenceMap } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'

/** What of the records of an earlier run is true. */
export interface KnownStates {
  readonly snapshot: Snapshot | undefined
  readonly records: readonly JournalRecord[]
}

export interface ServableEvents {
  /** The chunk's pristine bytes can now be had from `pristine`. */
  onServable?(position: number): void
  /** They no longer can: the machine wrote into the chunk and it could not be put aside. */
  onWithdrawn?(position: number): void
}

/**
 * What is known of every chunk, in memory: the state of its blocks, whether it is all zeros, whether
 * its pristine frame is put aside or was given up; and from these, whether it is still to be fetched
 * and whether it can be served.
 */
export class ChunkStates {
  readonly image: ImageLayout
  readonly map: PresenceMap
  readonly zero: Bitmap
  readonly givenUp: Bitmap
  /** See `Snapshot.touched`. */
  readonly touched: Bitmap
  readonly aside: AsideArea
  readonly #servable: Bitmap
  readonly #needed: Bitmap
  readonly #events: ServableEvents
  readonly #crashed: boolean
  #blank: boolean
  #spoilCount = 0

  /** ERR_METADATA_CORRUPT if what was recorded does not fit the image. */
  constructor(
    image: ImageLayout,
    { snapshot, records }: KnownStates,
    aside: AsideArea,
    { blank, crashed }: { readonly blank: boolean; readonly crashed: boolean },
    events: ServableEvents = {}
  ) {
    this.image = image
    this.aside = aside
    this.#blank = blank
    this.#crashed = crashed
    this.map = new PresenceMap(image, snapshot?.map)
    this.zero = new Bitmap(image.chunkCount, snapshot?.zero)
    this.givenUp = new Bitmap(image.chunkCount, snapshot?.givenUp)
    this.touched = new Bitmap(image.chunkCount, snapshot?.touched)
    this.#servable = new Bitmap(image.chunkCount)
    this.#needed = new Bitmap(image.chunkCount)
    for (const entry of snapshot?.asides ?? []) this.#apply({ kind: 'aside', entry })
    for (const record of records) this.#apply(record)
    for (let position = 0; position < image.chunkCount; position++) this.refresh(position)
    this.#events = events
  }

  /** Every missing block reads as zeros from the target. */
  get blank(): boolean {
    return this.#blank
  }

  /** How often missing blocks were left with who knows what in them. */
  get spoilCount(): number {
    return this.#spoilCount
  }

  spoil(): void {
    this.#blank = false
    this.#spoilCount++
  }

  get neededCount(): number {
    return this.#needed.count
  }

  needs(position: number): boolean {
    return this.#needed.has(position)
  }

  servable(position: number): boolean {
    return this.#servable.has(position)
  }

  /** One bit a chunk, the first one in the high bit of the first byte; a copy. */
  bitfield(): Uint8Array {
    return this.#servable.bytes.slice()
  }

  /** Present as a whole, and the machine wrote none of it. */
  isPristine(position: number): boolean {
    return this.map.chunkStates(position) === masks.pristine
  }

  /**
   * Blocks of the chunk that count as pristine may hold what the machine wrote: it was about to, and
   * then there was a crash.
   */
  mayHideWrites(position: number): boolean {
    return this.#crashed && this.touched.has(position)
  }

  /** All of it is on the target, and none of it is known to be zeros. */
  holdsData({ block, count }: BlockRun): boolean {
    const { map, zero } = this
    if (!map.any(block, count, masks.unwritten)) return true
    if (map.any(block, count, masks.missing)) return false
    const last = Math.floor((block + count - 1) / map.blocksPerChunk)
    for (let at = Math.floor(block / map.blocksPerChunk); at <= last; at++) {
      if (zero.has(at)) return false
    }
    return true
  }

  /** Whatever is not the machine's reads as zeros. */
  isZeroStill(position: number): boolean {
    return this.zero.has(position) && !this.mayHideWrites(position)
  }

  /** A machine's write into it has to wait until its pristine frame has been put aside. */
  owesAside(position: number): boolean {
    return (
      !this.zero.has(position) &&
      !this.aside.has(position) &&
      !this.givenUp.has(position) &&
      this.isPristine(position)
    )
  }

  /** To be called when anything of a chunk has changed. */
  refresh(position: number): void {
    const states = this.map.chunkStates(position)
    const zero = this.zero.has(position)
    const aside = this.aside.has(position)
    const pristineKept = zero || aside || this.givenUp.has(position)
    const asideWanted = (states & masks.written) !== 0 && !pristineKept
    this.#needed.set(position, !zero && ((states & masks.missing) !== 0 || asideWanted))
    const servable = zero || aside || states === masks.pristine
    if (!this.#servable.set(position, servable)) return
    // The constructor, too, comes here: what was servable from the start is no event.
    const events: ServableEvents | undefined = this.#events
    if (servable) events?.onServable?.(position)
    else events?.onWithdrawn?.(position)
  }

  /** Plain bytes of a chunk: the last one may be short. */
  lengthOf(position: number): number {
    return Math.min(this.image.chunkSize, this.image.size - position * this.image.chunkSize)
  }

  /** All of it, for a snapshot; the caller masks what is not recorded. */
  copy(): Snapshot {
    return {
      map: this.map.bytes.slice(),
      zero: this.zero.bytes,
      givenUp: this.givenUp.bytes,
      touched: this.touched.bytes,
      asides: this.aside.entries
    }
  }

  #apply(record: JournalRecord): void {
    switch (record.kind) {
      case 'pristine':
        this.#check(record.block + record.count <= this.map.blockCount)
        this.map.mark(record.block, record.count, masks.missing, blockStates.pristine)
        return
      case 'machine':
      case 'checked':
        this.#check(record.block + record.count <= this.map.blockCount)
        this.map.mark(record.block, record.count, 0b1111, blockStates.machine)
        return
      case 'zero':
      case 'touched':
        this.#check(record.position + record.count <= this.image.chunkCount)
        for (let index = 0; index < record.count; index++) {
          this[record.kind].set(record.position + index, true)
        }
        return
      case 'aside':
        this.#check(record.entry.position < this.image.chunkCount)
        this.#check(record.entry.plainLength <= this.image.chunkSize)
        this.#check(this.aside.restore(record.entry))
        return
      case 'given-up':
        this.#check(record.position < this.image.chunkCount)
        this.givenUp.set(record.position, true)
    }
  }

  #check(holds: boolean): void {
    if (holds) return
    throw new BootswarmError(
      'ERR_METADATA_CORRUPT',
      'the disk metadata speaks of blocks that the image does not have; start over with --force'
    )
  }
}
