import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, ChunkSource, ChunkStore } from '../base/index.ts'
import { verifiedPlain } from './frames.ts'

const plainLengthMax = Math.max(limits.chunkBytesMax, limits.manifestBlockBytesMax)

/**
 * A store as a source of verified plain bytes. Nobody is waited for: ERR_CHUNK_MISSING if the store
 * does not hold the chunk, ERR_CHUNK_CORRUPT if what it holds is another.
 */
export function sourceOf(store: ChunkStore): ChunkSource {
  return {
    async fetch(id: ChunkId): Promise<Uint8Array> {
      const frame = await store.get(id)
      if (frame === undefined) {
        throw new BootswarmError('ERR_CHUNK_MISSING', `the store has no chunk ${id}`)
      }
      return verifiedPlain(id, frame, plainLengthMax)
    }
  }
}
