import { limits } from '../base/index.ts'
import type { Logger } from '../base/index.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Snapshot } from './format.ts'
import type { JournalRecord } from './journal-format.ts'
import type { Metadata } from './metadata.ts'
import { blockStates, masks } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'
import type { Storage } from './storage.ts'

/**
 * Decides when a block's state may be recorded, so that no crash makes the metadata say more than the
 * target holds: data first, synced; then the record; and then, for a flush, the record synced. Blocks
 * whose record is still to come count as missing until then (docs/disk-format.md, "Order").
 */
export class Recorder {
  readonly #states: ChunkStates
  readonly #target: Storage
  readonly #metadata: Metadata
  readonly #logger: Logger
  /** Chunks with fresh blocks. */
  #written = new Set<number>()
  /** Chunks all of whose pristine blocks are unrecorded; `#settling` those of the running flush. */
  #placed = new Set<number>()
  #settling: ReadonlySet<number> = new Set()
  #zeros = new Set<number>()
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(states: ChunkStates, target: Storage, metadata: Metadata, logger: Logger) {
    this.#states = states
    this.#target = target
    this.#metadata = metadata
    this.#logger = logger
  }

  /** The chunk has fresh blocks whose data has been handed to the target. */
  wrote(position: number): void {
    this.#written.add(position)
    this.#schedule()
  }

  /** A chunk's missing blocks have been handed to the target and are pristine now. */
  placed(position: number): void {
    this.#placed.add(position)
    this.#schedule()
  }

  zeroKnown(position: number): void {
    this.#zeros.add(position)
    this.#schedule()
  }

  /** The chunk's pristine blocks count as missing after a crash. */
  isUnrecorded(position: number): boolean {
    return this.#placed.has(position) || this.#settling.has(position)
  }

  /**
   * Everything that was handed to the target before the call is on stable storage, and recorded so,
   * when it resolves. Calls that come while one is running share the next.
   */
  flush(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    if (this.#next === undefined) {
      const begin = (): Promise<void> => {
        this.#next = undefined
        return this.#start()
      }
      this.#next = this.#running.then(begin, begin)
    }
    return this.#next
  }

  /** The recorded states, for a checkpoint. */
  capture(): Snapshot {
    const { map } = this.#states
    const snapshot = this.#states.copy()
    const hide = (position: number, mask: number): void => {
      const { block, count } = map.chunk(position)
      for (let index = block; index < block + count; index++) {
        if (((1 << map.stateOf(index)) & mask) === 0) continue
        const byte = snapshot.map[index >> 2] ?? 0
        snapshot.map[index >> 2] = byte & ~(3 << (6 - 2 * (index & 3)))
      }
    }
    for (const position of this.#placed) hide(position, masks.pristine)
    for (const position of this.#settling) hide(position, masks.pristine)
    for (let index = 0; index < snapshot.map.length; index++) {
      const byte = snapshot.map[index] ?? 0
      // A fresh block is both bits set; clearing both makes it missing.
      const fresh = byte & (byte << 1) & 0xaa
      if (fresh !== 0) snapshot.map[index] = byte & ~(fresh | (fresh >> 1))
    }
    return snapshot
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.flush().catch((error: unknown) => {
        // The client's own next flush fails, too; nothing is recorded that is not there.
        this.#logger.warn('the presence journal cannot be written', { error })
      })
    }, limits.journalIntervalMs)
  }

  #start(): Promise<void> {
    const running = this.#settle()
    this.#running = running
    const clear = (): void => {
      if (this.#running === running) this.#running = undefined
    }
    running.then(clear, clear)
    return running
  }

  async #settle(): Promise<void> {
    const { map } = this.#states
    const placed = this.#placed
    const zeros = this.#zeros
    const written = this.#written
    const freshRuns = runsOf(written, position => {
      const { block, count } = map.chunk(position)
      return map.runs(block, count, masks.fresh)
    })
    this.#settling = placed
    this.#placed = new Set()
    this.#zeros = new Set()
    this.#written = new Set()
    try {
      if (this.#target.dirty) await this.#target.sync()
    } catch (error) {
      this.#placed = new Set([...placed, ...this.#placed])
      this.#zeros = new Set([...zeros, ...this.#zeros])
      this.#written = new Set([...written, ...this.#written])
      this.#settling = new Set()
      throw error
    }
    const records = this.#recordsOf(freshRuns, placed, zeros)
    // From here the states are recorded as far as a checkpoint is concerned: see Journal.append.
    this.#settling = new Set()
    if (records.length > 0) await this.#metadata.append(records)
    await this.#metadata.sync()
  }

  #recordsOf(
    freshRuns: readonly BlockRun[],
    placed: ReadonlySet<number>,
    zeros: ReadonlySet<number>
  ): JournalRecord[] {
    const { map } = this.#states
    const records: JournalRecord[] = []
    for (const { block, count } of freshRuns) {
      map.mark(block, count, masks.fresh, blockStates.machine)
      records.push({ kind: 'machine', block, count })
    }
    const pristineRuns = runsOf(placed, position => {
      const { block, count } = map.chunk(position)
      return map.runs(block, count, masks.pristine)
    })
    for (const run of pristineRuns) records.push({ kind: 'pristine', ...run })
    for (const { block, count } of runsOf(zeros, position => [{ block: position, count: 1 }])) {
      records.push({ kind: 'zero', position: block, count })
    }
    return records
  }
}

/** The runs of several chunks in order, adjacent ones joined. */
function runsOf(positions: Iterable<number>, runsAt: (position: number) => BlockRun[]): BlockRun[] {
  const joined: BlockRun[] = []
  for (const position of [...positions].sort((a, b) => a - b)) {
    for (const run of runsAt(position)) {
      const last = joined.at(-1)
      if (last !== undefined && last.block + last.count === run.block) {
        joined[joined.length - 1] = { block: last.block, count: last.count + run.count }
      } else joined.push(run)
    }
  }
  return joined
}
