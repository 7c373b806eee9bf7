import type { ChunkId } from '../base/index.ts'
import type { BootStep } from './boot-profile.ts'
import { zeroId } from './ids.ts'
import type { Manifest } from './manifest.ts'

/** A step with what the chunk was, so that it can be found again in another image. */
export interface NamedStep extends BootStep {
  readonly id: ChunkId
}

/** What a boot touched, with the chunks' names; positions that the image lacks or has zero are left out. */
export function nameSteps(steps: readonly BootStep[], manifest: Manifest): NamedStep[] {
  return steps.flatMap(step => {
    const id = manifest.chunkIdAt(step.position)
    return id === undefined || id === zeroId ? [] : [{ ...step, id }]
  })
}

/**
 * The same boot on the next version of the image: each chunk where the new image has the same bytes,
 * else what lies at the same offset now. Chunks are of the same size in both, or `chunkSize` says how
 * large they were.
 */
export function carryOver(
  steps: readonly NamedStep[],
  chunkSize: number,
  manifest: Manifest
): BootStep[] {
  const seen = new Set<number>()
  return steps.flatMap(({ id, position, ms }) => {
    const same = manifest.positionsOf(id)
    const there = Math.floor((position * chunkSize) / manifest.root.chunkSize)
    const found = same.includes(there) ? there : (same[0] ?? there)
    const now = manifest.chunkIdAt(found)
    if (now === undefined || now === zeroId || seen.has(found)) return []
    seen.add(found)
    return [{ position: found, ms }]
  })
}
