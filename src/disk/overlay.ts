import { BootswarmError, limits, partsOf, type ChunkPart } from '../base/index.ts'
import type { BlockDevice } from '../base/index.ts'
import { blocksOf, bytesOf, edgesOf } from './block-ranges.ts'
import { ChunkLocks } from './chunk-locks.ts'
import type { Storage } from './storage.ts'

const { blockBytes } = limits
/** Writes into the same part of the disk come one after the other. */
const partBytes = 1024 * 1024
const partBlocks = partBytes / blockBytes

/** Blocks that lie behind each other both on the disk and in the overlay, or all in the base. */
interface Run {
  readonly block: number
  readonly count: number
  /** Where in the overlay, in blocks; undefined: in the base. */
  readonly slot: number | undefined
}

/**
 * A disk that shows its base, and what was written over it since it was made: the writes go to a
 * bounded storage of their own and are forgotten with this object. Nothing of them is meant to
 * survive, so that a flush has nothing to wait for.
 */
export class Overlay implements BlockDevice {
  readonly size: number
  readonly #base: BlockDevice
  readonly #storage: Storage
  /** What to say when it is full. */
  readonly #place: string
  /** Slot + 1 of each block that was written, by part of the disk. */
  readonly #slots = new Map<number, Uint32Array>()
  readonly #locks = new ChunkLocks()
  #used = 0

  constructor(base: BlockDevice, storage: Storage, place: string) {
    this.size = base.size
    this.#base = base
    this.#storage = storage
    this.#place = place
  }

  /** Bytes that writes take here. */
  get usedBytes(): number {
    return this.#used * blockBytes
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { block, count } = blocksOf({ offset, length })
    const runs = this.#runs(block, count)
    if (runs.every(run => run.slot === undefined)) return this.#base.read(offset, length, signal)
    const bytes = Buffer.alloc(length)
    await Promise.all(
      runs.map(async ({ slot, ...run }) => {
        const whole = bytesOf(run, this.size)
        const start = Math.max(whole.offset, offset)
        const count = Math.min(whole.offset + whole.length, offset + length) - start
        const piece =
          slot === undefined
            ? await this.#base.read(start, count, signal)
            : await this.#storage.read(slot * blockBytes + start - whole.offset, count)
        bytes.set(piece, start - offset)
      })
    )
    return bytes
  }

  /** ERR_DISK_FULL when the overlay has no more room. */
  async write(offset: number, data: Uint8Array): Promise<void> {
    const parts = partsOf({ offset, length: data.length }, partBytes)
    const results = await Promise.allSettled(
      parts.map(part =>
        this.#locks.run(part.position, 'exclusive', () => {
          const start = part.offset - offset
          return this.#writePart(part, data.subarray(start, start + part.length))
        })
      )
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async flush(): Promise<void> {}

  async #writePart(part: ChunkPart, data: Uint8Array): Promise<void> {
    const { block, count } = blocksOf(part)
    const whole = await this.#wholeBlocks(part, data)
    for (const run of this.#runs(block, count)) {
      const { offset, length } = bytesOf(run, this.size)
      const start = offset - block * blockBytes
      const slot = run.slot ?? this.#allocate(run.count)
      try {
        await this.#storage.write(slot * blockBytes, whole.subarray(start, start + length))
      } catch (error) {
        // The newest slots are given back, so that a full file system does not use up the overlay.
        if (run.slot === undefined && this.#used === slot + run.count) this.#used = slot
        throw error
      }
      if (run.slot === undefined) this.#assign(run.block, run.count, slot)
    }
  }

  /** The data with what is around it in the blocks that it has only a part of. */
  async #wholeBlocks(part: ChunkPart, data: Uint8Array): Promise<Uint8Array> {
    const edges = edgesOf(part, this.size)
    if (edges.length === 0) return data
    const range = bytesOf(blocksOf(part), this.size)
    const whole = Buffer.alloc(range.length)
    for (const edge of edges) {
      const { offset, length } = bytesOf({ block: edge, count: 1 }, this.size)
      whole.set(await this.read(offset, length), offset - range.offset)
    }
    whole.set(data, part.offset - range.offset)
    return whole
  }

  #allocate(count: number): number {
    const slot = this.#used
    if ((slot + count) * blockBytes > this.#storage.size) {
      throw new BootswarmError(
        'ERR_DISK_FULL',
        `${this.#place}: no room for more discarded writes, ${this.#storage.size} bytes are used; a restart drops them`
      )
    }
    this.#used += count
    return slot
  }

  #assign(block: number, count: number, slot: number): void {
    for (let index = 0; index < count; index++) {
      const part = Math.floor((block + index) / partBlocks)
      let slots = this.#slots.get(part)
      if (slots === undefined) this.#slots.set(part, (slots = new Uint32Array(partBlocks)))
      slots[(block + index) % partBlocks] = slot + index + 1
    }
  }

  #slotOf(block: number): number | undefined {
    const slot = this.#slots.get(Math.floor(block / partBlocks))?.[block % partBlocks] ?? 0
    return slot === 0 ? undefined : slot - 1
  }

  #runs(block: number, count: number): Run[] {
    const runs: Run[] = []
    for (let index = block; index < block + count; index++) {
      const slot = this.#slotOf(index)
      const last = runs.at(-1)
      const next = last?.slot === undefined ? undefined : last.slot + last.count
      if (last !== undefined && slot === next)
        runs[runs.length - 1] = { ...last, count: last.count + 1 }
      else runs.push({ block: index, count: 1, slot })
    }
    return runs
  }
}
