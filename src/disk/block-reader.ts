import type { Extent } from '../base/index.ts'
import { blocksOf, bytesOf, partsOf } from './block-ranges.ts'
import type { ByteRange, ChunkPart } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Demand } from './demand.ts'
import { masks } from './presence-map.ts'
import type { Storage } from './storage.ts'

export interface BlockReaderParts {
  readonly states: ChunkStates
  readonly demand: Demand
  readonly target: Storage
}

/** The machine's reads: waits for what is missing, and reads what is there. */
export class BlockReader {
  readonly #parts: BlockReaderParts

  constructor(parts: BlockReaderParts) {
    this.#parts = parts
  }

  async read(range: ByteRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
    await this.arrival(range, signal)
    return this.#readPresent(range)
  }

  /** Resolves when the whole range can be read without waiting. */
  async arrival(range: ByteRange, signal: AbortSignal | undefined): Promise<void> {
    for (let absent = this.#absentParts(range); absent.length > 0;) {
      await Promise.all(absent.map(part => this.#arrivalOf(part, signal)))
      absent = this.#absentParts(range)
    }
  }

  /** At most `countMax` runs, from the start of the range on. */
  extents({ offset, length }: ByteRange, countMax: number): Extent[] {
    const { states } = this.#parts
    const extents: Extent[] = []
    let last: Extent | undefined
    for (const part of partsOf({ offset, length }, states.image.chunkSize)) {
      for (const extent of this.#extentsOf(part)) {
        if (last !== undefined && isAlike(last, extent)) {
          last = { ...last, length: last.length + extent.length }
          extents[extents.length - 1] = last
        } else if (extents.length === countMax) return extents
        else extents.push((last = extent))
      }
    }
    return extents
  }

  #extentsOf(part: ChunkPart): Extent[] {
    const { states } = this.#parts
    const { map, image } = states
    const zero = states.isZeroStill(part.position)
    const promised = states.zero.has(part.position)
    const blocks = blocksOf(part)
    const end = part.offset + part.length
    const kinds: { mask: number; what: Omit<Extent, 'length'> }[] = [
      { mask: masks.written, what: { zero: false, hole: false, presence: 'written' } },
      { mask: masks.pristine, what: { zero, hole: zero, presence: 'local' } },
      {
        mask: masks.missing,
        what: { zero: promised, hole: promised, presence: promised ? 'local' : 'remote' }
      }
    ]
    return kinds
      .flatMap(({ mask, what }) =>
        map.runs(blocks.block, blocks.count, mask).map(run => {
          const whole = bytesOf(run, image.size)
          const start = Math.max(whole.offset, part.offset)
          const length = Math.min(whole.offset + whole.length, end) - start
          return { start, extent: { ...what, length } }
        })
      )
      .sort((a, b) => a.start - b.start)
      .map(({ extent }) => extent)
  }

  #absentParts(range: ByteRange): ChunkPart[] {
    const { states } = this.#parts
    const { block, count } = blocksOf(range)
    if (!states.map.any(block, count, masks.missing)) return []
    return partsOf(range, states.image.chunkSize).filter(part => this.#isAbsent(part))
  }

  #isAbsent(part: ChunkPart): boolean {
    const { map, zero } = this.#parts.states
    const { block, count } = blocksOf(part)
    return !zero.has(part.position) && map.any(block, count, masks.missing)
  }

  #arrivalOf(part: ChunkPart, signal: AbortSignal | undefined): Promise<void> {
    const { demand } = this.#parts
    return demand.wait(part.position, 'read', () => !this.#isAbsent(part), signal)
  }

  /** What is still missing here is zeros that are promised. */
  async #readPresent(range: ByteRange): Promise<Uint8Array> {
    const { target, states } = this.#parts
    const { map, image } = states
    const { block, count } = blocksOf(range)
    if (!map.any(block, count, masks.missing)) return target.read(range.offset, range.length)
    const bytes = Buffer.alloc(range.length)
    const end = range.offset + range.length
    await Promise.all(
      map.runs(block, count, masks.present).map(async run => {
        const whole = bytesOf(run, image.size)
        const start = Math.max(whole.offset, range.offset)
        const stop = Math.min(whole.offset + whole.length, end)
        bytes.set(await target.read(start, stop - start), start - range.offset)
      })
    )
    return bytes
  }
}

function isAlike(one: Extent, other: Extent): boolean {
  return one.zero === other.zero && one.hole === other.hole && one.presence === other.presence
}
