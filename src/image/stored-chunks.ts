import { BootswarmError, limits, type ChunkId, type ChunkSource } from '../base/index.ts'
import { ChunkCache } from './chunk-cache.ts'
import { zeroId } from './ids.ts'
import type { ImageChunks } from './image-device.ts'
import { readManifest, type Manifest } from './manifest.ts'

/** The chunks of an image that a source has all of. Its manifest is read when it is first needed. */
export class StoredChunks implements ImageChunks {
  readonly size: number
  readonly chunkSize: number
  readonly #imageId: ChunkId
  readonly #source: ChunkSource
  readonly #cache: ChunkCache
  #manifest: Promise<Manifest> | undefined

  constructor(
    image: { readonly imageId: ChunkId; readonly size: number; readonly chunkSize: number },
    source: ChunkSource
  ) {
    this.size = image.size
    this.chunkSize = image.chunkSize
    this.#imageId = image.imageId
    this.#source = source
    this.#cache = new ChunkCache(limits.imageCacheBytes, async (position, signal) => {
      return source.fetch(await this.#idAt(position), signal)
    })
  }

  async where(position: number): Promise<'zero' | 'local'> {
    return (await this.#idAt(position)) === zeroId ? 'zero' : 'local'
  }

  chunk(position: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#cache.get(position, signal)
  }

  async #idAt(position: number): Promise<ChunkId> {
    this.#manifest ??= this.#readManifest()
    const id = (await this.#manifest).chunkIdAt(position)
    if (id !== undefined) return id
    throw new BootswarmError('ERR_INTERNAL', `the image ${this.#imageId} has no chunk ${position}`)
  }

  async #readManifest(): Promise<Manifest> {
    try {
      return await readManifest(this.#imageId, this.#source)
    } catch (error) {
      // The store may be mended; the next read tries again.
      this.#manifest = undefined
      throw error
    }
  }
}
