import type { ChunkLocks } from './chunk-locks.ts'
import { adoptHiddenWrites } from './hidden-writes.ts'
import type { HiddenWritesParts } from './hidden-writes.ts'
import type { Metadata } from './metadata.ts'
import { blockStates, masks } from './presence-map.ts'

export interface TakingBackParts extends HiddenWritesParts {
  readonly locks: ChunkLocks
  readonly metadata: Metadata
}

/**
 * A chunk's pristine blocks are missing from now on, and its frame is forgotten; but what a crash may
 * have hidden of the machine's writes becomes the machine's. `unreadable`: the disk does not give the
 * blocks back, so that there is nothing to keep. `readOnly`: it is forgotten here, and not recorded.
 */
export function takeBack(
  { states, recorder, target, locks, metadata }: TakingBackParts,
  position: number,
  { unreadable, readOnly }: { readonly unreadable: boolean; readonly readOnly: boolean }
): Promise<void> {
  return locks.run(position, 'exclusive', async () => {
    const { map, aside } = states
    const { block, count } = map.chunk(position)
    const mayHide = states.mayHideWrites(position) && !recorder.isUnrecorded(position)
    if (!mayHide || unreadable || readOnly) {
      states.spoil()
      map.mark(block, count, masks.pristine, blockStates.missing)
    } else if (!aside.has(position)) {
      await adoptHiddenWrites({ states, target, recorder }, position, undefined)
    }
    if (!unreadable) aside.forget(position)
    states.refresh(position)
    if (!readOnly) await metadata.checkpoint()
  })
}
