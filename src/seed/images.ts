import { limits, type ChunkId } from '../base/index.ts'
import type { Manifest } from '../image/index.ts'
import { readManifest, sourceOf } from '../image/index.ts'
import type { Store } from '../store/index.ts'

/** The manifests of the images that machines are busy with, read once. */
export class ServedImages {
  #store: Store
  #manifests = new Map<ChunkId, Promise<Manifest | undefined>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Undefined when the store does not hold the image. */
  manifest(imageId: ChunkId): Promise<Manifest | undefined> {
    const known = this.#manifests.get(imageId)
    if (known !== undefined) return known
    const isHere = this.#store.images().some(image => image.imageId === imageId)
    // What is not here may be imported later, so only what is here is remembered.
    if (!isHere) return Promise.resolve(undefined)
    const manifest = readManifest(imageId, sourceOf(this.#store))
    this.#manifests.set(imageId, manifest)
    if (this.#manifests.size > limits.manifestsHeldMax) {
      const [oldest] = this.#manifests.keys()
      if (oldest !== undefined) this.#manifests.delete(oldest)
    }
    return manifest
  }
}
