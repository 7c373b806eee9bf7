import { bytesOf } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import { masks } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'
import type { Recorder } from './recorder.ts'
import type { Storage } from './storage.ts'

export interface HiddenWritesParts {
  readonly states: ChunkStates
  readonly target: Storage
  readonly recorder: Recorder
}

/**
 * Makes the machine's what it wrote over pristine blocks before a crash took the record of it: every
 * pristine block that differs from the image, or all of them where that is not known. The chunk's lock
 * is held exclusively. To fetch them again would take back what has been read since.
 */
export async function adoptHiddenWrites(
  { states, target, recorder }: HiddenWritesParts,
  position: number,
  pristine: Uint8Array | undefined
): Promise<void> {
  const { map, image } = states
  const { block, count } = map.chunk(position)
  const start = position * image.chunkSize
  for (const run of map.runs(block, count, masks.pristine)) {
    if (pristine === undefined) recorder.adopt(run)
    else {
      for (const one of singles(run)) {
        const { offset, length } = bytesOf(one, image.size)
        const expected = pristine.subarray(offset - start, offset - start + length)
        const actual = await target.read(offset, length)
        if (Buffer.compare(actual, expected) !== 0) recorder.adopt(one)
      }
    }
  }
  states.refresh(position)
}

function singles({ block, count }: BlockRun): BlockRun[] {
  return Array.from({ length: count }, (_, index) => ({ block: block + index, count: 1 }))
}
