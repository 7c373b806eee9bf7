import { type ByteRange } from '../base/index.ts'
import { blocksOf, bytesOf } from './block-ranges.ts'
import { blockChecksum, ChecksumOfRun, zeroChecksum } from './checksums.ts'
import type { CheckedRecord } from './journal-format.ts'
import { blockStates, masks } from './presence-map.ts'
import type { BlockRun, PresenceMap } from './presence-map.ts'
import type { Storage } from './storage.ts'

/** What a crash drops together when one block of it did not land. */
const blocksPerRecord = 256

interface Writers {
  count: number
  /** Several at a time: which of them the target shows in the end is not known. */
  contested: boolean
}

/**
 * The blocks that the machine wrote and no record speaks of yet, with the checksums that their records
 * will carry. A write that may make a block fresh, or changes one, goes through `write`.
 */
export class FreshBlocks {
  readonly #map: PresenceMap
  readonly #target: Storage
  readonly #size: number
  /** Of every fresh block; undefined: to be read back. */
  #sums = new Map<number, number | undefined>()
  readonly #writers = new Map<number, Writers>()
  #underWay = 0
  #drained: PromiseWithResolvers<void> | undefined
  #capturing: Promise<void> | undefined

  constructor(map: PresenceMap, target: Storage, size: number) {
    this.#map = map
    this.#target = target
    this.#size = size
  }

  get count(): number {
    return this.#sums.size
  }

  /** Settles when writes may go on; undefined when they may now. */
  get capturing(): Promise<void> | undefined {
    return this.#capturing
  }

  /**
   * Hands data to the target (`undefined`: zeros); then the missing blocks of the range are fresh. Not
   * while `capturing`. The whole of a missing block has to be written.
   */
  async write(range: ByteRange, data: Uint8Array | undefined): Promise<void> {
    const { block, count } = blocksOf(range)
    for (let index = block; index < block + count; index++) this.#enter(index)
    this.#underWay++
    let landed = false
    try {
      if (data !== undefined) await this.#target.write(range.offset, data)
      else await this.#target.zero(range.offset, range.length)
      landed = true
    } finally {
      if (landed) this.#map.mark(block, count, masks.missing, blockStates.fresh)
      for (let index = block; index < block + count; index++) {
        this.#leave(index, landed ? this.#sumOf(index, range, data) : undefined)
      }
      if (--this.#underWay === 0) this.#drained?.resolve()
    }
  }

  /** As `write` of whole blocks, where nothing has to be waited for; false, and nothing is done, if something has. */
  writeNow(range: ByteRange, data: Uint8Array): boolean {
    const { block, count } = blocksOf(range)
    if (this.#capturing !== undefined || this.#isBeingWritten(block, count)) return false
    if (this.#target.writeNow?.(range.offset, data) !== true) return false
    this.#map.mark(block, count, masks.missing, blockStates.fresh)
    for (let index = block; index < block + count; index++) {
      if (this.#map.stateOf(index) !== blockStates.fresh) continue
      this.#sums.set(index, this.#sumOf(index, range, data))
    }
    return true
  }

  /** Makes pristine blocks fresh, in the turn in which `write` begins: their data is about to change. */
  claim({ block, count }: BlockRun): void {
    this.#map.mark(block, count, masks.pristine, blockStates.fresh)
    for (let index = block; index < block + count; index++) this.#sums.set(index, undefined)
  }

  /**
   * Makes all fresh blocks the machine's, and gives their records to `take`, before any other write can
   * begin: their data must not change from then on until the records are confirmed. Rejects, and
   * changes nothing, if a block cannot be read.
   */
  async capture<T>(take: (records: CheckedRecord[]) => T): Promise<T> {
    if (this.#sums.size === 0 && this.#underWay === 0) return take([])
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#capturing = promise
    try {
      if (this.#underWay > 0) {
        this.#drained = Promise.withResolvers<void>()
        await this.#drained.promise
      }
      const sums = [...this.#sums].sort(([a], [b]) => a - b)
      const records = await this.#recordsOf(sums)
      for (const { block, count } of records) {
        this.#map.mark(block, count, masks.fresh, blockStates.machine)
      }
      this.#sums = new Map()
      return take(records)
    } finally {
      this.#drained = undefined
      this.#capturing = undefined
      resolve()
    }
  }

  async #recordsOf(sums: readonly [number, number | undefined][]): Promise<CheckedRecord[]> {
    const records: CheckedRecord[] = []
    for (let start = 0; start < sums.length;) {
      const block = sums[start]?.[0] ?? 0
      const sum = new ChecksumOfRun()
      let count = 0
      for (let next = sums[start]; next?.[0] === block + count; next = sums[start + count]) {
        if (count === blocksPerRecord) break
        sum.add(next[1] ?? (await this.#readSum(next[0])))
        count++
      }
      records.push({ kind: 'checked', block, count, crc: sum.value })
      start += count
    }
    return records
  }

  async #readSum(block: number): Promise<number> {
    const { offset, length } = bytesOf({ block, count: 1 }, this.#size)
    return blockChecksum(await this.#target.read(offset, length))
  }

  #isBeingWritten(block: number, count: number): boolean {
    if (this.#writers.size === 0) return false
    for (let index = block; index < block + count; index++) {
      if (this.#writers.has(index)) return true
    }
    return false
  }

  #enter(block: number): void {
    if (this.#map.stateOf(block) === blockStates.fresh) this.#sums.set(block, undefined)
    const writers = this.#writers.get(block)
    if (writers === undefined) {
      this.#writers.set(block, { count: 1, contested: false })
      return
    }
    writers.count++
    writers.contested = true
  }

  #leave(block: number, sum: number | undefined): void {
    const writers = this.#writers.get(block)
    if (this.#map.stateOf(block) === blockStates.fresh) {
      this.#sums.set(block, writers?.contested === false ? sum : undefined)
    }
    if (writers !== undefined && --writers.count === 0) this.#writers.delete(block)
  }

  /** Undefined where only a part of the block was written. */
  #sumOf(block: number, range: ByteRange, data: Uint8Array | undefined): number | undefined {
    const { offset, length } = bytesOf({ block, count: 1 }, this.#size)
    const start = offset - range.offset
    if (start < 0 || start + length > range.length) return undefined
    return data === undefined
      ? zeroChecksum(length)
      : blockChecksum(data.subarray(start, start + length))
  }
}
