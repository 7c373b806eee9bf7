import { limits, type ChunkId, type Frame } from '../base/index.ts'

interface Entry {
  readonly id: ChunkId
  readonly encoding: Frame['encoding']
  readonly plainLength: number
  readonly offset: number
  readonly length: number
}

/**
 * The frames that came in last, as they were received: whoever asks next gets them without reading
 * the disk or compressing again. They lie one behind the other in one ring of memory, the newest over
 * the oldest: frames that each lived for a while in a buffer of their own made the garbage collector
 * mark the whole heap again and again, which cost as much as everything else together.
 */
export class RelayCache {
  #entries = new Map<ChunkId, Entry>()
  #ring: Buffer
  /** Where the next frame goes. */
  #head = 0

  constructor(bytesMax: number = limits.relayCacheBytes) {
    // Untouched pages take no memory.
    this.#ring = Buffer.allocUnsafeSlow(bytesMax)
  }

  has(id: ChunkId): boolean {
    return this.#entries.has(id)
  }

  /** A copy: the ring goes on turning while the frame is being sent. */
  get(id: ChunkId): Frame | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const { encoding, plainLength, offset, length } = entry
    const bytes = Buffer.from(this.#ring.subarray(offset, offset + length))
    return { encoding, plainLength, bytes }
  }

  put(id: ChunkId, frame: Frame): void {
    const { encoding, plainLength, bytes } = frame
    const { length } = bytes
    if (this.#entries.has(id) || length > this.#ring.length) return
    if (this.#head + length > this.#ring.length) {
      this.#evict(this.#ring.length)
      this.#head = 0
    }
    const offset = this.#head
    this.#evict(offset + length)
    this.#ring.set(bytes, offset)
    this.#entries.set(id, { id, encoding, plainLength, offset, length })
    this.#head = offset + length
  }

  /** Forgets what lies between the head and `end`; the oldest come first in the Map. */
  #evict(end: number): void {
    for (const entry of this.#entries.values()) {
      const isInWay = entry.offset >= this.#head && entry.offset < end
      if (!isInWay) return
      this.#entries.delete(entry.id)
    }
  }
}
