import { BootswarmError, partsOf, type BlockDevice, type Extent } from '../base/index.ts'

/** An image's chunks, wherever they come from. */
export interface ImageChunks {
  readonly size: number
  readonly chunkSize: number
  /** Whether the chunk is all zeros, here, or has to be fetched; may wait for a page of the manifest. */
  where(position: number, signal?: AbortSignal): Promise<'zero' | 'local' | 'remote'>
  /** The plain bytes of a chunk that is not zero; nobody writes to them. Waits as long as it takes. */
  chunk(position: number, signal?: AbortSignal): Promise<Uint8Array>
}

/** Chunks that are looked up at a time to say what is where: a page of the manifest. */
const lookedUpMax = 4096

/** An image as a disk that can only be read. */
export class ImageDevice implements BlockDevice {
  readonly size: number
  readonly #chunks: ImageChunks

  constructor(chunks: ImageChunks) {
    this.size = chunks.size
    this.#chunks = chunks
  }

  async read(
    offset: number,
    length: number,
    signal?: AbortSignal,
    into = Buffer.allocUnsafe(length)
  ): Promise<Uint8Array> {
    await Promise.all(
      partsOf({ offset, length }, this.#chunks.chunkSize).map(async part => {
        const { position } = part
        const where = await this.#chunks.where(position, signal)
        const start = part.offset - offset
        if (where === 'zero') into.fill(0, start, start + part.length)
        else {
          const bytes = await this.#chunks.chunk(position, signal)
          const from = part.offset - position * this.#chunks.chunkSize
          into.set(bytes.subarray(from, from + part.length), start)
        }
      })
    )
    return into
  }

  async extents(offset: number, length: number, signal?: AbortSignal): Promise<readonly Extent[]> {
    const parts = partsOf({ offset, length }, this.#chunks.chunkSize).slice(0, lookedUpMax)
    const known = await Promise.all(
      parts.map(({ position }) => this.#chunks.where(position, signal))
    )
    return parts.map((part, index) => {
      const zero = known[index] === 'zero'
      const presence = known[index] === 'remote' ? 'remote' : 'local'
      return { length: part.length, zero, hole: zero, presence }
    })
  }

  async prefetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    await Promise.all(
      partsOf({ offset, length }, this.#chunks.chunkSize).map(async ({ position }) => {
        const where = await this.#chunks.where(position, signal)
        if (where === 'remote') await this.#chunks.chunk(position, signal)
      })
    )
  }

  write(): Promise<void> {
    return Promise.reject(new BootswarmError('ERR_INTERNAL', 'a write to an image got through'))
  }

  /** There is nothing that could be lost. */
  flush(): Promise<void> {
    return Promise.resolve()
  }
}
