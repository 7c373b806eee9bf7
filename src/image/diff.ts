import type { ChunkId } from '../base/index.ts'
import type { Manifest } from './manifest.ts'
import { zeroId } from './ids.ts'

/** What a disk that holds one image lacks of another. */
export interface ImageDiff {
  /** Positions of the new image where the old one has another chunk, or none. */
  readonly changed: number
  /** Of the changed positions: now zero; a chunk that the old image has elsewhere. */
  readonly zeroed: number
  readonly moved: number
  /** Chunks that the old image has nowhere, each once: what has to be fetched. */
  readonly added: ReadonlySet<ChunkId>
}

/** Compares whole manifests. Images with different chunk sizes share next to nothing. */
export function diffManifests(from: Manifest, to: Manifest): ImageDiff {
  const added = new Set<ChunkId>()
  let changed = 0
  let zeroed = 0
  let moved = 0
  for (let position = 0; position < to.root.chunkCount; position++) {
    const id = to.chunkIdAt(position)
    if (id === undefined || isSame(from, position, id)) continue
    changed += 1
    if (id === zeroId) zeroed += 1
    else if (from.positionsOf(id).length > 0) moved += 1
    else added.add(id)
  }
  return { changed, zeroed, moved, added }
}

function isSame(from: Manifest, position: number, id: ChunkId): boolean {
  return position < from.root.chunkCount && from.chunkIdAt(position) === id
}
