import type { ChunkId } from '../base/index.ts'
import { zeroId } from '../image/index.ts'
import { Bitmap } from './bitmap.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { AsideEntry, ImageLayout, Snapshot } from './format.ts'
import { blockStates, masks, PresenceMap } from './presence-map.ts'
import type { ChunkNames } from './verification.ts'

/** As the source of a move: the chunk's frame was put aside for the position that it goes to. */
export const fromAside = -1

/** A chunk that the target holds somewhere else than where the image wants it. */
export interface Move {
  /**
   * Position where the target has it, in chunks from its start, perhaps behind the image's end; or
   * `fromAside`.
   */
  readonly from: number
  /** Position where the image has it. */
  readonly to: number
}

export interface ReusePlan {
  /** What is true of the target for the new image at once. */
  readonly snapshot: Snapshot
  /** The rest of what can be used again. */
  readonly moves: readonly Move[]
  /** Plain bytes of the chunks that are where they have to be already, but for zeros. */
  readonly keptBytes: number
}

/** Of an earlier deployment, chunk by chunk; both images have chunks of one size. */
export interface Former {
  readonly states: ChunkStates
  readonly names: ChunkNames
  /** False: its map may be wrong, only frames that were put aside are of use. */
  readonly believed: boolean
  /** Nothing from here on, in bytes, can be used again: the new metadata goes there. */
  readonly usableBytes: number
}

/**
 * What of the earlier deployment on a target the new image can use, by what was recorded: whatever the
 * machine wrote into counts as lost, but for what was put aside.
 */
export function planReuse(former: Former, image: ImageLayout, names: ChunkNames): ReusePlan {
  const { states, names: formerNames } = former
  const map = new PresenceMap(image)
  const zero = new Bitmap(image.chunkCount)
  const sources = pristineSources(former)
  const frames = asideFrames(states, formerNames)
  const asides: AsideEntry[] = []
  const moves: Move[] = []
  let keptBytes = 0
  for (let to = 0; to < image.chunkCount; to++) {
    const id = names.chunkIdAt(to)
    if (id === undefined) continue
    if (id === zeroId) zero.set(to, true)
    if (isKept(former, to, id, image)) {
      if (states.mayHideWrites(to)) {
        // It is there if its hash says so.
        if (id !== zeroId) moves.push({ from: to, to })
        continue
      }
      const { block, count } = map.chunk(to)
      map.mark(block, count, masks.missing, blockStates.pristine)
      if (id !== zeroId) keptBytes += lengthAt(image, to)
      continue
    }
    const from = sources.get(id)
    const entry = frames.get(id)
    if (from !== undefined) moves.push({ from, to })
    else if (entry !== undefined) {
      asides.push({ ...entry, position: to })
      moves.push({ from: fromAside, to })
    }
  }
  const givenUp = new Bitmap(image.chunkCount)
  const touched = new Bitmap(image.chunkCount).bytes
  const snapshot = { map: map.bytes, zero: zero.bytes, givenUp: givenUp.bytes, touched, asides }
  return { snapshot, moves, keptBytes }
}

function isKept(
  { states, names, believed }: Former,
  position: number,
  id: ChunkId,
  image: ImageLayout
): boolean {
  return (
    believed &&
    position < states.image.chunkCount &&
    // A short last chunk that is zero bears no length in its name.
    lengthAt(image, position) === states.lengthOf(position) &&
    names.chunkIdAt(position) === id &&
    states.isPristine(position)
  )
}

/** For each chunk that the target holds whole, the first place where it does. */
function pristineSources({ states, names, believed, usableBytes }: Former): Map<ChunkId, number> {
  const { chunkSize, chunkCount } = states.image
  const sources = new Map<ChunkId, number>()
  if (!believed) return sources
  for (let position = 0; position < chunkCount; position++) {
    if (
      position * chunkSize + states.lengthOf(position) > usableBytes ||
      !states.isPristine(position)
    )
      continue
    const id = names.chunkIdAt(position)
    if (id !== undefined && id !== zeroId && !sources.has(id)) sources.set(id, position)
  }
  return sources
}

function asideFrames(states: ChunkStates, names: ChunkNames): Map<ChunkId, AsideEntry> {
  const frames = new Map<ChunkId, AsideEntry>()
  for (const entry of states.aside.entries) {
    const id = names.chunkIdAt(entry.position)
    if (id !== undefined) frames.set(id, entry)
  }
  return frames
}

function lengthAt({ size, chunkSize }: ImageLayout, position: number): number {
  return Math.min(chunkSize, size - position * chunkSize)
}
