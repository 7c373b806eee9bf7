import { limits, type ChunkId, type Frame } from '../base/index.ts'

/**
 * The frames that came in last, as they were received: whoever asks next gets them without reading
 * the disk or compressing again. Bounded by bytes; the least recently used make room.
 */
export class RelayCache {
  #frames = new Map<ChunkId, Frame>()
  #bytes = 0
  #bytesMax: number

  constructor(bytesMax: number = limits.relayCacheBytes) {
    this.#bytesMax = bytesMax
  }

  has(id: ChunkId): boolean {
    return this.#frames.has(id)
  }

  get(id: ChunkId): Frame | undefined {
    const frame = this.#frames.get(id)
    if (frame === undefined) return undefined
    // A Map keeps the order of insertion, so inserting again makes it the most recent.
    this.#frames.delete(id)
    this.#frames.set(id, frame)
    return frame
  }

  put(id: ChunkId, frame: Frame): void {
    if (this.#frames.has(id)) return
    this.#frames.set(id, frame)
    this.#bytes += frame.bytes.length
    for (const [oldest, { bytes }] of this.#frames) {
      if (this.#bytes <= this.#bytesMax) return
      this.#frames.delete(oldest)
      this.#bytes -= bytes.length
    }
  }
}
