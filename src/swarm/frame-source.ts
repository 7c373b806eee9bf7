import type { ChunkId, Frame, Holding } from '../base/index.ts'

/** Where this node's frames come from. */
export interface FrameSource {
  holding(id: ChunkId): Holding
  /** Undefined when the chunk turns out not to be here, or not intact. */
  load(id: ChunkId): Promise<Frame | undefined>
  /** What was loaded is not read any more: its memory may be used for another frame. */
  release?(frame: Frame): void
}
