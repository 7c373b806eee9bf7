import { limits, type ByteRange } from '../base/index.ts'
import type { Logger } from '../base/index.ts'
import { blocksOf, joined } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import { FreshBlocks } from './fresh-blocks.ts'
import type { Snapshot } from './format.ts'
import type { CheckedRecord, JournalRecord } from './journal-format.ts'
import type { Metadata } from './metadata.ts'
import { blockStates, masks } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'
import type { Storage } from './storage.ts'

export interface RecorderParts {
  readonly states: ChunkStates
  readonly target: Storage
  readonly metadata: Metadata
  readonly logger: Logger
  /** How long a change may stay unrecorded. */
  readonly settleMs: number
}

/**
 * Decides when a block's state may be recorded, so that no crash makes the metadata say more than the
 * target holds, at one flush of the device for each flush of the machine (docs/disk-format.md,
 * "Order").
 */
export class Recorder {
  readonly #parts: RecorderParts
  readonly #fresh: FreshBlocks
  /** Chunks all of whose pristine blocks are unrecorded: not durable yet, just being made so. */
  #placed = new Set<number>()
  #settling: ReadonlySet<number> = new Set()
  #zeros = new Set<number>()
  /** Records of what is durable that are being written. */
  #recording: Promise<void> = Promise.resolve()
  /** Blocks recorded as pristine that the machine has written over since. */
  #claimed: BlockRun[] = []
  /**
   * Blocks whose checked records a crash may still drop, so that they must not change: those that
   * the running flush makes durable, those that are and the journal does not say so yet, those of
   * which it just says so.
   */
  #captured = new Set<number>()
  #durable = new Set<number>()
  #confirming = new Set<number>()
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #touching = new Map<number, Promise<void>>()

  constructor(parts: RecorderParts) {
    this.#parts = parts
    this.#fresh = new FreshBlocks(parts.states.map, parts.target, parts.states.image.size)
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

  /** The blocks are the machine's, recorded so for good, and may change at any time. */
  isSettled(run: BlockRun): boolean {
    const { map } = this.#parts.states
    return (
      !map.any(run.block, run.count, masks.fresh | masks.unwritten) && !this.#anyMayBeDropped(run)
    )
  }

  /** Undefined when the machine may write into the blocks now, else settles when to ask again. */
  whenFree(run: BlockRun): Promise<void> | undefined {
    const { map } = this.#parts.states
    const { capturing } = this.#fresh
    const isRecorded = !map.any(run.block, run.count, masks.fresh | masks.unwritten)
    if (capturing !== undefined && !isRecorded) return capturing
    return this.#anyMayBeDropped(run) ? this.flush() : undefined
  }

  /**
   * Writes for the machine (`undefined`: zeros), after `whenFree` in the same turn. Pristine blocks
   * become the machine's at once, missing ones when the data is there.
   */
  write(range: ByteRange, data: Uint8Array | undefined): Promise<void> {
    const { map } = this.#parts.states
    const { target } = this.#parts
    const { block, count } = blocksOf(range)
    this.#claim({ block, count })
    if (map.any(block, count, masks.fresh | masks.missing)) return this.#writeFresh(range, data)
    if (data !== undefined) return target.write(range.offset, data)
    return target.zero(range.offset, range.length)
  }

  /**
   * As `write` of whole blocks that hold nothing of the image, where neither it nor `whenFree` has to be waited
   * for; false, and nothing is done, if one has.
   */
  writeNow(range: ByteRange, data: Uint8Array): boolean {
    if (this.#anyMayBeDropped(blocksOf(range)) || !this.#fresh.writeNow(range, data)) return false
    this.#wroteFresh()
    return true
  }

  async #writeFresh(range: ByteRange, data: Uint8Array | undefined): Promise<void> {
    await this.#fresh.write(range, data)
    this.#wroteFresh()
  }

  #wroteFresh(): void {
    this.#schedule()
    // What is fresh is kept in memory, a checksum a block.
    if (this.#fresh.count > limits.unrecordedBlocksMax) this.#flushBehind()
  }

  /**
   * Before the machine writes over recorded pristine blocks, it is durable that it may have. Undefined
   * if it is so already. One flush does for many chunks: the neighbours' turn is near.
   */
  touch(position: number): Promise<void> | undefined {
    const { touched, image } = this.#parts.states
    const first = position - (position % limits.touchedChunks)
    const running = this.#touching.get(first)
    if (running !== undefined || touched.has(position)) return running
    const count = Math.min(limits.touchedChunks, image.chunkCount - first)
    const done = this.#touchAll(first, count).finally(() => this.#touching.delete(first))
    this.#touching.set(first, done)
    return done
  }

  /** The machine's blocks of a run that may change or go at any time. */
  settledRuns({ block, count }: BlockRun): BlockRun[] {
    const { map } = this.#parts.states
    const settled: BlockRun[] = []
    for (const run of map.runs(block, count, 1 << blockStates.machine)) {
      for (let index = run.block; index < run.block + run.count; index++) {
        if (!this.#mayBeDropped(index)) settled.push({ block: index, count: 1 })
      }
    }
    return joined(settled)
  }

  /** Blocks that turned out to be the machine's are so from now on. */
  adopt(run: BlockRun): void {
    this.#claim(run)
  }

  /**
   * Everything that was handed to the target before the call is on stable storage, and recorded so,
   * when it resolves. Calls that come while one is running share the next.
   */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    const begin = (): Promise<void> => {
      this.#next = undefined
      return this.#start()
    }
    return (this.#next = this.#running.then(begin, begin))
  }

  /** Flushes until nothing is left to say. */
  async settle(): Promise<void> {
    await this.#parts.states.aside.settled()
    do {
      await this.flush()
      // Until it is written nobody would say that it is owing.
      await this.#recording
    } while (this.#isOwing())
  }

  /** The recorded states, for a checkpoint. */
  capture(): Snapshot {
    const { states } = this.#parts
    const { map } = states
    const snapshot = states.copy()
    for (const positions of [this.#placed, this.#settling]) {
      for (const position of positions) {
        const { block, count } = map.chunk(position)
        for (const run of map.runs(block, count, masks.pristine)) hide(snapshot.map, run)
      }
    }
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

  #mayBeDropped(block: number): boolean {
    return this.#captured.has(block) || this.#durable.has(block) || this.#confirming.has(block)
  }

  #anyMayBeDropped({ block, count }: BlockRun): boolean {
    if (this.#captured.size + this.#durable.size + this.#confirming.size === 0) return false
    for (let index = block; index < block + count; index++) {
      if (this.#mayBeDropped(index)) return true
    }
    return false
  }

  /** Of one chunk. */
  #claim({ block, count }: BlockRun): void {
    const { map, image } = this.#parts.states
    if (!map.any(block, count, masks.pristine)) return
    const position = Math.floor((block * limits.blockBytes) / image.chunkSize)
    for (const run of map.runs(block, count, masks.pristine)) {
      if (this.isUnrecorded(position)) {
        this.#fresh.claim(run)
        continue
      }
      map.mark(run.block, run.count, masks.pristine, blockStates.machine)
      this.#claimed.push(run)
      this.#schedule()
    }
  }

  async #touchAll(first: number, count: number): Promise<void> {
    const { metadata, states } = this.#parts
    // Before the append: a checkpoint that supersedes the record has to contain it.
    for (let index = 0; index < count; index++) states.touched.set(first + index, true)
    await metadata.append([{ kind: 'touched', position: first, count }])
    await metadata.sync()
  }

  #isOwing(): boolean {
    const { metadata } = this.#parts
    return metadata.dirty || this.#placed.size + this.#durable.size + this.#fresh.count > 0
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#flushBehind()
    }, this.#parts.settleMs)
    this.#timer.unref()
  }

  #flushBehind(): void {
    this.flush().catch((error: unknown) => {
      // The client's own next flush fails, too; nothing is recorded that is not there.
      this.#parts.logger.warn('the presence journal cannot be written', { error })
    })
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
    const { metadata, target } = this.#parts
    const records = await this.#fresh.capture(checked => this.#newRecords(checked))
    // A page without records says what is confirmed.
    if (records.length > 0 || this.#confirming.size > 0) await metadata.append(records)
    const mark = metadata.mark()
    await Promise.all([target.dirty ? target.sync() : undefined, metadata.sync()])
    metadata.confirm(mark)
    this.#confirming = new Set()
    this.#durable = this.#captured
    this.#captured = new Set()
    this.#recordDurable()
    if (this.#isOwing()) this.#schedule()
  }

  /** Chunks that are durable now are recorded at once, for a kill, and durably with the next flush. */
  #recordDurable(): void {
    const { map } = this.#parts.states
    const runs = [...this.#settling].flatMap(position => {
      const { block, count } = map.chunk(position)
      return map.runs(block, count, masks.pristine)
    })
    this.#settling = new Set()
    if (runs.length === 0) return
    const records = joined(runs).map(run => ({ kind: 'pristine' as const, ...run }))
    // If this fails, so does the next flush.
    this.#recording = this.#parts.metadata.append(records).catch(() => {})
  }

  /** Takes what is to be recorded; from here on it is as far as a checkpoint is concerned. */
  #newRecords(checked: readonly CheckedRecord[]): JournalRecord[] {
    for (const { block, count } of checked) {
      for (let index = block; index < block + count; index++) this.#captured.add(index)
    }
    const zeros = [...this.#zeros].map(position => ({ block: position, count: 1 }))
    const records: JournalRecord[] = [
      ...checked,
      ...joined(this.#claimed).map(run => ({ kind: 'machine' as const, ...run })),
      ...joined(zeros).map(({ block, count }) => ({
        kind: 'zero' as const,
        position: block,
        count
      }))
    ]
    this.#confirming = this.#durable
    this.#durable = new Set()
    this.#settling = this.#placed
    this.#placed = new Set()
    this.#claimed = []
    this.#zeros = new Set()
    return records
  }
}

/** Makes blocks missing. */
function hide(map: Uint8Array, { block, count }: BlockRun): void {
  for (let index = block; index < block + count; index++) {
    map[index >> 2] = (map[index >> 2] ?? 0) & ~(3 << (6 - 2 * (index & 3)))
  }
}
