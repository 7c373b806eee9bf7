import { partsOf, type ByteRange } from '../base/index.ts'
import type { Extent } from '../base/index.ts'
import { blocksOf, bytesOf } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import { blockStates, masks, type BlockState } from './presence-map.ts'

/** A range is looked at in pieces of so many chunks: 512 MiB by default. */
const chunksMax = 4096
/** Runs that one look gives. */
const runsMax = 4096

type Kind = Omit<Extent, 'length'>

const missing: Kind = { zero: false, hole: false, presence: 'remote' }
const promised: Kind = { zero: true, hole: true, presence: 'local' }
const pristine: Kind = { zero: false, hole: false, presence: 'local' }
const zeroed: Kind = { zero: true, hole: false, presence: 'local' }
const written: Kind = { zero: false, hole: false, presence: 'written' }

/** What is known of a range of the target without reading it; at least one run, perhaps not all of it. */
export function extentsOf(states: ChunkStates, { offset, length }: ByteRange): Extent[] {
  const { map, image } = states
  const end = Math.min(
    offset + length,
    (Math.floor(offset / image.chunkSize) + chunksMax) * image.chunkSize
  )
  const runs: (Kind & { length: number })[] = []
  let kindOfLast: Kind | undefined
  const add = (kind: Kind, bytes: number): void => {
    const last = runs.at(-1)
    if (last !== undefined && kind === kindOfLast) last.length += bytes
    else runs.push({ ...kind, length: bytes })
    kindOfLast = kind
  }
  for (const part of partsOf({ offset, length: end - offset }, image.chunkSize)) {
    if (runs.length >= runsMax) break
    const isZero = states.zero.has(part.position)
    const isZeroStill = states.isZeroStill(part.position)
    const alike = kindOfAll(map.chunkStates(part.position), isZero, isZeroStill)
    if (alike !== undefined) {
      add(alike, part.length)
      continue
    }
    const { block, count } = blocksOf(part)
    for (let index = block; index < block + count; index++) {
      const whole = bytesOf({ block: index, count: 1 }, image.size)
      const start = Math.max(whole.offset, part.offset)
      const stop = Math.min(whole.offset + whole.length, part.offset + part.length)
      add(kindOf(map.stateOf(index), isZero, isZeroStill), stop - start)
    }
  }
  return runs
}

/** Undefined where the blocks of the chunk differ. */
function kindOfAll(chunkStates: number, isZero: boolean, isZeroStill: boolean): Kind | undefined {
  if (chunkStates === masks.missing) return kindOf(blockStates.missing, isZero, isZeroStill)
  if (chunkStates === masks.pristine) return kindOf(blockStates.pristine, isZero, isZeroStill)
  return (chunkStates & masks.unwritten) === 0 ? written : undefined
}

/** A zero chunk's blocks that count as pristine may hold what the machine wrote before a crash. */
function kindOf(state: BlockState, isZero: boolean, isZeroStill: boolean): Kind {
  if (state === blockStates.missing) return isZero ? promised : missing
  if (state === blockStates.pristine) return isZeroStill ? zeroed : pristine
  return written
}
