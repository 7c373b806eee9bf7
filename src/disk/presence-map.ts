import { limits } from '../base/index.ts'
import { mapBytesOf } from './format.ts'
import type { ImageLayout } from './format.ts'

/**
 * Of a block. `fresh` is machine-written too, but not recorded in the metadata yet: it exists in
 * memory only, and a crash makes it `missing` again.
 */
export const blockStates = { missing: 0, pristine: 1, machine: 2, fresh: 3 } as const
export type BlockState = (typeof blockStates)[keyof typeof blockStates]

/** Sets of states, as bits. */
export const masks = {
  missing: 1 << blockStates.missing,
  pristine: 1 << blockStates.pristine,
  fresh: 1 << blockStates.fresh,
  written: (1 << blockStates.machine) | (1 << blockStates.fresh),
  unwritten: (1 << blockStates.missing) | (1 << blockStates.pristine),
  present: 0b1110
} as const

export interface BlockRun {
  readonly block: number
  readonly count: number
}

// The states that a byte of four blocks has, as a mask.
const maskOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let mask = 0
  for (let shift = 0; shift < 8; shift += 2) mask |= 1 << ((byte >> shift) & 3)
  return mask
})

/** Which blocks of the target are there, and whose they are: two bits for each 4 KiB. */
export class PresenceMap {
  readonly bytes: Uint8Array
  readonly blockCount: number
  readonly blocksPerChunk: number
  /** Blocks by state. */
  readonly #counts = [0, 0, 0, 0]
  readonly #shortBytes: number

  /** With `bytes`, its state is taken from them, copied. */
  constructor(image: ImageLayout, bytes?: Uint8Array) {
    this.blockCount = Math.ceil(image.size / limits.blockBytes)
    this.blocksPerChunk = image.chunkSize / limits.blockBytes
    this.#shortBytes = this.blockCount * limits.blockBytes - image.size
    this.bytes =
      bytes === undefined ? new Uint8Array(mapBytesOf(image.size)) : new Uint8Array(bytes)
    this.#count()
  }

  /** Bytes of the image that the machine wrote, in whole blocks. */
  get writtenBytes(): number {
    const blocks = (this.#counts[2] ?? 0) + (this.#counts[3] ?? 0)
    const lastIsShort = (1 << this.stateOf(this.blockCount - 1)) & masks.written
    return blocks * limits.blockBytes - (lastIsShort === 0 ? 0 : this.#shortBytes)
  }

  stateOf(block: number): BlockState {
    return (((this.bytes[block >> 2] ?? 0) >> (6 - 2 * (block & 3))) & 3) as BlockState
  }

  /** Sets those of a run of blocks that are in a state of the mask. */
  mark(block: number, count: number, from: number, to: BlockState): void {
    for (let index = block; index < block + count; index++) {
      const state = this.stateOf(index)
      if (((1 << state) & from) === 0 || state === to) continue
      const shift = 6 - 2 * (index & 3)
      this.bytes[index >> 2] = ((this.bytes[index >> 2] ?? 0) & ~(3 << shift)) | (to << shift)
      this.#counts[state] = (this.#counts[state] ?? 0) - 1
      this.#counts[to] = (this.#counts[to] ?? 0) + 1
    }
  }

  /** Whether any block of a run is in a state of the mask. */
  any(block: number, count: number, mask: number): boolean {
    for (let index = block; index < block + count; index++) {
      if (((1 << this.stateOf(index)) & mask) !== 0) return true
    }
    return false
  }

  /** The blocks of a run that are in a state of the mask, as runs, ascending. */
  runs(block: number, count: number, mask: number): BlockRun[] {
    const runs: BlockRun[] = []
    let start = -1
    for (let index = block; index <= block + count; index++) {
      const matches = index < block + count && ((1 << this.stateOf(index)) & mask) !== 0
      if (matches && start < 0) start = index
      if (matches || start < 0) continue
      runs.push({ block: start, count: index - start })
      start = -1
    }
    return runs
  }

  /** The blocks of a chunk. */
  chunk(position: number): BlockRun {
    const block = position * this.blocksPerChunk
    return { block, count: Math.min(this.blocksPerChunk, this.blockCount - block) }
  }

  /** The states that a chunk's blocks have, as a mask. A chunk is whole bytes of the map. */
  chunkStates(position: number): number {
    const { block, count } = this.chunk(position)
    let mask = 0
    const whole = count >> 2
    const first = block >> 2
    for (let index = first; index < first + whole; index++) {
      mask |= maskOfByte[this.bytes[index] ?? 0] ?? 0
    }
    for (let index = block + 4 * whole; index < block + count; index++) {
      mask |= 1 << this.stateOf(index)
    }
    return mask
  }

  #count(): void {
    const byValue = new Float64Array(256)
    // An iterator makes an object a byte, before V8 has compiled it: 10 MB for the map of a small disk.
    for (let index = 0; index < this.bytes.length; index++) {
      const byte = this.bytes[index] ?? 0
      byValue[byte] = (byValue[byte] ?? 0) + 1
    }
    for (const [byte, times] of byValue.entries()) {
      for (let shift = 0; shift < 8; shift += 2) {
        const state = (byte >> shift) & 3
        this.#counts[state] = (this.#counts[state] ?? 0) + times
      }
    }
  }
}
