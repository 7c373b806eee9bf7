import { BootswarmError, type BlockDevice, type Extent } from '../base/index.ts'

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
      this.#parts(offset, length).map(async ({ position, start, end }) => {
        const at = position * this.#chunks.chunkSize
        const where = await this.#chunks.where(position, signal)
        if (where === 'zero') into.fill(0, start - offset, end - offset)
        else {
          const bytes = await this.#chunks.chunk(position, signal)
          into.set(bytes.subarray(start - at, end - at), start - offset)
        }
      })
    )
    return into
  }

  async extents(offset: number, length: number, signal?: AbortSignal): Promise<readonly Extent[]> {
    const parts = this.#parts(offset, length).slice(0, lookedUpMax)
    const known = await Promise.all(
      parts.map(({ position }) => this.#chunks.where(position, signal))
    )
    return parts.map(({ start, end }, index) => {
      const zero = known[index] === 'zero'
      const presence = known[index] === 'remote' ? 'remote' : 'local'
      return { length: end - start, zero, hole: zero, presence }
    })
  }

  async prefetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    await Promise.all(
      this.#parts(offset, length).map(async ({ position }) => {
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

  #parts(offset: number, length: number): { position: number; start: number; end: number }[] {
    const { chunkSize } = this.#chunks
    const end = offset + length
    const parts: { position: number; start: number; end: number }[] = []
    for (let start = offset; start < end;) {
      const position = Math.floor(start / chunkSize)
      const stop = Math.min((position + 1) * chunkSize, end)
      parts.push({ position, start, end: stop })
      start = stop
    }
    return parts
  }
}
