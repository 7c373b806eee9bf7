import type { ChunkId, ChunkStore, Frame } from '../../src/base/index.ts'

/** A chunk store in a Map, for tests of what stands above one. */
export class MemoryStore implements ChunkStore {
  readonly frames = new Map<ChunkId, Frame>()

  has(id: ChunkId): boolean {
    return this.frames.has(id)
  }

  async get(id: ChunkId): Promise<Frame | undefined> {
    return this.frames.get(id)
  }

  async put(id: ChunkId, frame: Frame): Promise<void> {
    if (!this.frames.has(id)) this.frames.set(id, frame)
  }
}
