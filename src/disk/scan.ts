import { setImmediate as breathe } from 'node:timers/promises'
import type { ChunkId } from '../base/index.ts'
import { chunkIdOf, isZero, zeroId } from '../image/index.ts'
import type { ChunkStates } from './chunk-states.ts'
import { fromAside } from './reuse-plan.ts'
import type { Move } from './reuse-plan.ts'
import type { Storage } from './storage.ts'
import type { ChunkNames } from './verification.ts'

/** So many holes are passed over before others have a turn. */
const holesAtOnce = 1024

export interface ScanProgress {
  readonly bytesDone: number
  readonly size: number
}

export interface ScanOptions {
  readonly states: ChunkStates
  /** Of the image, with all its pages. */
  readonly names: ChunkNames
  readonly target: Storage
  /** Bytes that the earlier image had, if that is known: beyond the image it may hold chunks, too. */
  readonly formerBytes: number
  readonly onProgress?: (progress: ScanProgress) => void
}

export interface ScanResult {
  /** Positions that hold what the image has there, though it is not recorded. */
  readonly inPlace: readonly number[]
  readonly moves: readonly Move[]
}

/** Reads and hashes what lies on the target, at the offsets of chunks, and finds the image's in it. */
export async function searchChunks(options: ScanOptions): Promise<ScanResult> {
  const { states, names, target, onProgress } = options
  const { chunkSize, chunkCount } = states.image
  const ends = [states.image.size, options.formerBytes]
  const extent = Math.min(Math.max(...ends), target.size)
  const wanted = wantedChunks(states, names)
  const sources = new Map<ChunkId, number>()
  const inPlace = new Set<number>()
  const scratch = Buffer.alloc(chunkSize)
  for (let position = 0; position * chunkSize < extent; position++) {
    const start = position * chunkSize
    if (position < chunkCount && states.isPristine(position)) {
      const id = names.chunkIdAt(position)
      if (id !== undefined && wanted.has(id)) sources.set(id, position)
      continue
    }
    const length = Math.min(chunkSize, extent - start)
    if (position % holesAtOnce === 0) await breathe()
    if (target.isHole(start, length)) continue
    const plain = await target.read(start, length, scratch.subarray(0, length))
    onProgress?.({ bytesDone: start + length, size: extent })
    if (isZero(plain)) continue
    for (const id of idsOf(plain, start, ends)) {
      if (position < chunkCount && names.chunkIdAt(position) === id) inPlace.add(position)
      if (wanted.has(id) && !sources.has(id)) sources.set(id, position)
    }
  }
  return { inPlace: [...inPlace], moves: movesFor(wanted, sources, inPlace, states) }
}

/** Positions of the chunks that are not here, by what they are; zeros need not be found. */
function wantedChunks(states: ChunkStates, names: ChunkNames): Map<ChunkId, number[]> {
  const wanted = new Map<ChunkId, number[]>()
  for (let position = 0; position < states.image.chunkCount; position++) {
    const id = names.chunkIdAt(position)
    if (id === undefined || id === zeroId || states.isPristine(position)) continue
    const others = wanted.get(id)
    if (others === undefined) wanted.set(id, [position])
    else others.push(position)
  }
  return wanted
}

/** What lies there may be a whole chunk, or an image's short last one with something behind it. */
function idsOf(plain: Buffer, start: number, ends: readonly number[]): ChunkId[] {
  const lengths = ends.map(end => end - start).filter(length => length > 0 && length < plain.length)
  return [plain.length, ...lengths].map(length => chunkIdOf(plain.subarray(0, length)))
}

function movesFor(
  wanted: ReadonlyMap<ChunkId, readonly number[]>,
  sources: ReadonlyMap<ChunkId, number>,
  inPlace: ReadonlySet<number>,
  states: ChunkStates
): Move[] {
  const moves: Move[] = []
  for (const [id, positions] of wanted) {
    const source = sources.get(id)
    for (const to of positions) {
      if (inPlace.has(to)) continue
      if (states.aside.has(to)) moves.push({ from: fromAside, to })
      else if (source !== undefined) moves.push({ from: source, to })
    }
  }
  return moves
}
