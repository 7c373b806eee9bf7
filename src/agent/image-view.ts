import { limits, orAborted } from '../base/index.ts'
import { ChunkCache, zeroId, type ImageChunks, type Manifest } from '../image/index.ts'
import type { ImagePlace } from './image-place.ts'

export interface ImageViewEvents {
  /** Somebody reads the chunk, or wants to know what it is: it, or the page that lists it, is needed. */
  onNeed(position: number): void
  onNeedless(position: number): void
}

interface Waiter {
  readonly arrived: Promise<Uint8Array>
  readonly resolve: (plain: Uint8Array) => void
}

/**
 * An image that is read straight from the swarm: nothing is fetched but what somebody reads, and
 * nothing is kept but what was read last. It serves nothing: it holds too little for too short.
 */
export class ImageView implements ImagePlace, ImageChunks {
  readonly size: number
  readonly chunkSize: number
  readonly #manifest: Manifest
  readonly #events: ImageViewEvents
  readonly #cache: ChunkCache
  readonly #waiting = new Map<number, Waiter>()
  readonly #pages = new Map<number, PromiseWithResolvers<void>>()

  constructor(manifest: Manifest, events: ImageViewEvents) {
    this.size = manifest.root.size
    this.chunkSize = manifest.root.chunkSize
    this.#manifest = manifest
    this.#events = events
    this.#cache = new ChunkCache(limits.imageCacheBytes, (position, signal) =>
      this.#arrival(position, signal)
    )
  }

  async where(position: number, signal?: AbortSignal): Promise<'zero' | 'local' | 'remote'> {
    const page = this.#manifest.pageOf(position)
    if (!this.#manifest.hasPage(page)) await this.#pageOf(position, page, signal)
    if (this.#manifest.chunkIdAt(position) === zeroId) return 'zero'
    return this.#cache.has(position) ? 'local' : 'remote'
  }

  chunk(position: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#cache.get(position, signal)
  }

  needs(position: number): boolean {
    return this.#waiting.has(position)
  }

  place(position: number, plain: Uint8Array): Promise<boolean> {
    const waiter = this.#waiting.get(position)
    this.#waiting.delete(position)
    // What came is in memory that is used again.
    waiter?.resolve(Uint8Array.from(plain))
    return Promise.resolve(waiter !== undefined)
  }

  /** Whoever reads asks `where` first, and never waits for zeros. */
  placeZero(): void {}

  servable(): boolean {
    return false
  }

  bitfield(): Uint8Array {
    return new Uint8Array(Math.ceil(this.#manifest.root.chunkCount / 8))
  }

  pristine(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  distrust(): Promise<void> {
    return Promise.resolve()
  }

  /** Slot 0 is the root, slot n + 1 page n; the manifest itself has kept it. */
  keepManifestBlock(slot: number): Promise<void> {
    this.#pages.get(slot - 1)?.resolve()
    this.#pages.delete(slot - 1)
    return Promise.resolve()
  }

  manifestBlock(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async #arrival(position: number, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const waiter = { arrived: promise, resolve }
    this.#waiting.set(position, waiter)
    signal.addEventListener('abort', () => {
      if (this.#waiting.get(position) !== waiter) return
      this.#waiting.delete(position)
      reject(signal.reason as Error)
      this.#events.onNeedless(position)
    })
    this.#events.onNeed(position)
    return promise
  }

  async #pageOf(position: number, page: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const arrival = this.#pages.get(page) ?? Promise.withResolvers<void>()
    this.#pages.set(page, arrival)
    this.#events.onNeed(position)
    await orAborted(arrival.promise, signal)
  }
}
