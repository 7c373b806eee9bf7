import { limits, orAborted } from '../base/index.ts'
import { ChunkCache, zeroId, type ImageChunks, type Manifest } from '../image/index.ts'
import type { ImagePlace } from './image-place.ts'

export interface ImageViewEvents {
  /** Somebody reads the chunk, or wants to know what it is: it, or the page that lists it, is needed. */
  onNeed(position: number): void
  onNeedless(position: number): void
}

/** What of the image lies where the view runs, and need not come from the swarm. */
export interface ChunksHere {
  has(position: number): boolean
  /** Checked plain bytes of the view's own; undefined if they are not here after all. */
  plain(position: number): Promise<Uint8Array | undefined>
}

interface Waiter {
  readonly arrived: Promise<Uint8Array>
  readonly resolve: (plain: Uint8Array) => void
}

/**
 * An image that is read straight from the swarm, and from this machine's disk if it has one: nothing
 * is fetched but what somebody reads, and nothing is kept but what was read last. It serves nothing:
 * it holds too little for too short.
 */
export class ImageView implements ImagePlace, ImageChunks {
  readonly size: number
  readonly chunkSize: number
  readonly #manifest: Manifest
  readonly #events: ImageViewEvents
  readonly #here: ChunksHere | undefined
  readonly #cache: ChunkCache
  readonly #waiting = new Map<number, Waiter>()
  readonly #pages = new Map<number, PromiseWithResolvers<void>>()

  constructor(manifest: Manifest, events: ImageViewEvents, here?: ChunksHere) {
    this.size = manifest.root.size
    this.chunkSize = manifest.root.chunkSize
    this.#manifest = manifest
    this.#events = events
    this.#here = here
    const cacheBytes = here === undefined ? limits.imageCacheBytes : limits.imageCacheBesideBytes
    this.#cache = new ChunkCache(cacheBytes, (position, signal) => this.#arrival(position, signal))
  }

  async where(position: number, signal?: AbortSignal): Promise<'zero' | 'local' | 'remote'> {
    const page = this.#manifest.pageOf(position)
    if (!this.#manifest.hasPage(page)) await this.#pageOf(position, page, signal)
    if (this.#manifest.chunkIdAt(position) === zeroId) return 'zero'
    const isHere = this.#cache.has(position) || this.#here?.has(position) === true
    return isHere ? 'local' : 'remote'
  }

  chunk(position: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#cache.get(position, signal)
  }

  needs(position: number): boolean {
    return this.#waiting.has(position)
  }

  /** Answers whoever waits for these bytes, at this position or another. */
  place(position: number, plain: Uint8Array): Promise<boolean> {
    const id = this.#manifest.chunkIdAt(position)
    const positions = id === undefined ? [position] : this.#manifest.positionsOf(id)
    const waiting = positions.filter(each => this.#waiting.has(each))
    if (waiting.length === 0) return Promise.resolve(false)
    // What came is in memory that is used again.
    const kept = Uint8Array.from(plain)
    for (const each of waiting) this.#settle(each, kept)
    return Promise.resolve(true)
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
    // It waits already: what comes while the disk is looked at is not missed.
    const plain = await this.#here?.plain(position)
    if (this.#waiting.get(position) === waiter) {
      if (plain === undefined) this.#events.onNeed(position)
      else this.#settle(position, plain)
    }
    return promise
  }

  #settle(position: number, plain: Uint8Array): void {
    this.#waiting.get(position)?.resolve(plain)
    this.#waiting.delete(position)
  }

  async #pageOf(position: number, page: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const arrival = this.#pages.get(page) ?? Promise.withResolvers<void>()
    this.#pages.set(page, arrival)
    this.#events.onNeed(position)
    await orAborted(arrival.promise, signal)
  }
}
