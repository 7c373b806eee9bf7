import type { ChunkId } from '../base/index.ts'
import { carryOver, mergeBoots, type BootProfile, type Manifest } from '../image/index.ts'
import type { Store } from './store.ts'

/** A profile, and the image whose boots it was learned from when that is another one. */
export interface KnownProfile extends BootProfile {
  readonly carriedFrom: ChunkId | undefined
}

/**
 * What the store's machines have taught it about boots of the image: by their own reports of it, or
 * else by those of the image that had the same name before. Undefined when nothing is known.
 */
export function knownProfile(store: Store, manifest: Manifest): KnownProfile | undefined {
  const { imageId } = manifest.root
  const own = store.bootReports(imageId)
  const former = own.length > 0 ? undefined : store.formerlyBooted(imageId)
  const reports = former === undefined ? own : store.bootReports(former)
  const boots = reports.map(({ steps, chunkSize }) => carryOver(steps, chunkSize, manifest))
  const steps = mergeBoots(boots.filter(boot => boot.length > 0))
  if (steps.length === 0) return undefined
  return { imageId, reports: reports.length, steps, carriedFrom: former }
}
