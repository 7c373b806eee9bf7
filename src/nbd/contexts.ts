import type { BlockDevice, Extent } from '../base/index.ts'
import type { StatusExtent } from './reply-wire.ts'
import { allocationFlags, presenceFlags } from './wire.ts'

/** Something that a client may ask about a range of blocks. */
export interface MetaContext {
  /** What requests and replies call it. */
  readonly id: number
  readonly name: string
  flagsOf(extent: Extent): number
}

const allocation: MetaContext = {
  id: 0,
  name: 'base:allocation',
  flagsOf: ({ hole, zero }) => (hole ? allocationFlags.HOLE : 0) | (zero ? allocationFlags.ZERO : 0)
}

const presence: MetaContext = {
  id: 1,
  name: 'bootswarm:presence',
  flagsOf: ({ presence: where }) =>
    where === 'remote' ? presenceFlags.REMOTE : where === 'written' ? presenceFlags.WRITTEN : 0
}

/** Every device has the first; a device that knows nothing says that all of it is data. */
export function contextsOf(device: BlockDevice): readonly MetaContext[] {
  return device.extents === undefined ? [allocation] : [allocation, presence]
}

/** The contexts that a client's queries mean; when it only lists, `namespace:` means all in it. */
export function matchingContexts(
  device: BlockDevice,
  queries: readonly string[],
  listing: boolean
): readonly MetaContext[] {
  const available = contextsOf(device)
  if (listing && queries.length === 0) return available
  return available.filter(({ name }) =>
    queries.some(
      query => query === name || (listing && query.endsWith(':') && name.startsWith(query))
    )
  )
}

export interface StatusBounds {
  readonly length: number
  readonly countMax: number
  /** What a length in the reply can be at most. */
  readonly lengthMax: number
  /** The client wants to know of one run only. */
  readonly one: boolean
}

/** What a context says of runs that begin where the query does: neighbours that are alike are one. */
export function statusOf(
  context: MetaContext,
  extents: readonly Extent[],
  { length, countMax, lengthMax, one }: StatusBounds
): StatusExtent[] {
  const runs: { length: number; flags: number }[] = []
  let left = length
  for (const extent of extents) {
    const flags = context.flagsOf(extent)
    const last = runs.at(-1)
    if (last?.flags !== flags && runs.length === (one ? 1 : countMax)) break
    const room = lengthMax - (last?.flags === flags ? last.length : 0)
    const taken = Math.min(extent.length, left, room)
    if (last?.flags === flags) last.length += taken
    else runs.push({ length: taken, flags })
    left -= taken
    if (taken < extent.length || left === 0) break
  }
  return runs
}
