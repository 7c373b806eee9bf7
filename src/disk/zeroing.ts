import type { BackgroundPace } from './background-pace.ts'
import { bytesOf, joined } from './block-ranges.ts'
import type { ChunkLocks } from './chunk-locks.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Metadata } from './metadata.ts'
import { blockStates, masks } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'
import type { Storage } from './storage.ts'

export interface ZeroingParts {
  readonly states: ChunkStates
  readonly locks: ChunkLocks
  readonly target: Storage
  readonly metadata: Metadata
  readonly pace: BackgroundPace
}

const batchChunks = 1024

/**
 * Makes the zero chunks' blocks, which until now only read as zeros, zeros on the target too. A block
 * stays missing until its zeros are durable, so that a crash in between loses nothing.
 */
export async function zeroTarget(parts: ZeroingParts, signal?: AbortSignal): Promise<void> {
  // A batch that a failed write spoilt meanwhile is left for the next round.
  for (let owed = owedChunks(parts.states); owed.length > 0; owed = owedChunks(parts.states)) {
    for (let start = 0; start < owed.length; start += batchChunks) {
      await zeroBatch(parts, owed.slice(start, start + batchChunks), signal)
    }
  }
}

/** Positions of the zero chunks that only read as zeros so far. */
function owedChunks({ image, zero, map }: ChunkStates): number[] {
  const owed: number[] = []
  for (let position = 0; position < image.chunkCount; position++) {
    const missing = (map.chunkStates(position) & masks.missing) !== 0
    if (missing && zero.has(position)) owed.push(position)
  }
  return owed
}

async function zeroBatch(
  { states, locks, target, metadata, pace }: ZeroingParts,
  positions: readonly number[],
  signal: AbortSignal | undefined
): Promise<void> {
  const { map, image } = states
  const missingIn = (position: number): BlockRun[] => {
    const { block, count } = map.chunk(position)
    return map.runs(block, count, masks.missing)
  }
  const { spoilCount } = states
  if (!states.blank) {
    for (const position of positions) {
      await pace.turn(states.lengthOf(position), signal)
      await locks.run(position, 'exclusive', async () => {
        for (const run of missingIn(position)) {
          const { offset, length } = bytesOf(run, image.size)
          await target.zero(offset, length)
        }
      })
    }
    if (target.dirty) await target.sync()
  }
  signal?.throwIfAborted()
  const zeroed: BlockRun[] = []
  const markZeroed = (position: number): void => {
    // A write that failed since may have left anything in a block that is still missing.
    if (states.spoilCount !== spoilCount) return
    for (const run of missingIn(position)) {
      map.mark(run.block, run.count, masks.missing, blockStates.pristine)
      zeroed.push(run)
    }
  }
  for (const position of positions) {
    // Nobody has most of them: promises for all of a batch at once took 30 MB.
    if (locks.isFree(position)) markZeroed(position)
    else await locks.run(position, 'exclusive', () => Promise.resolve(markZeroed(position)))
  }
  if (zeroed.length === 0) return
  await metadata.append(joined(zeroed).map(run => ({ kind: 'pristine', ...run })))
}
