import { inSharedWords, limits, type ChunkId, type Frame } from '../base/index.ts'

interface Entry {
  readonly id: ChunkId
  readonly encoding: Frame['encoding']
  readonly plainLength: number
  readonly offset: number
  readonly length: number
}

/** Smaller memory is not worth telling apart. */
const copyBytesMin = 16 * 1024

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
  /** Memory of copies that nobody reads any more, by its size. */
  #free = new Map<number, Buffer[]>()
  #freeBytes = 0
  #copies = new WeakMap<Uint8Array, Buffer>()

  constructor(bytesMax: number = limits.relayCacheBytes) {
    // Untouched pages take no memory.
    this.#ring = Buffer.allocUnsafeSlow(bytesMax)
  }

  has(id: ChunkId): boolean {
    return this.#entries.has(id)
  }

  /**
   * A copy: the ring goes on turning while the frame is being sent. `release` it, so that its memory
   * serves the next one: a machine that uploads to fifteen others copies as much as it sends.
   */
  get(id: ChunkId): Frame | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const { encoding, plainLength, offset, length } = entry
    const bytes = this.#take(length)
    this.#ring.copy(bytes, 0, offset, offset + length)
    return { encoding, plainLength, bytes }
  }

  /** Takes back a frame of `get`, and ignores any other. */
  release({ bytes }: Frame): void {
    const memory = this.#copies.get(bytes)
    if (memory === undefined) return
    this.#copies.delete(bytes)
    if (this.#freeBytes + memory.length > limits.relayFreeBytesMax) return
    this.#freeBytes += memory.length
    this.#free.set(memory.length, [...(this.#free.get(memory.length) ?? []), memory])
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
    // What comes in lies in shared memory: from there V8 copies quickly to the beginning of a word.
    this.#head = inSharedWords(offset + length)
  }

  #take(length: number): Buffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(length, copyBytesMin)))
    const free = this.#free.get(size)?.pop()
    if (free !== undefined) this.#freeBytes -= size
    const memory = free ?? Buffer.allocUnsafeSlow(size)
    const bytes = memory.subarray(0, length)
    this.#copies.set(bytes, memory)
    return bytes
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
