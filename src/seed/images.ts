import { limits, type ChunkId } from '../base/index.ts'
import type { SeedStatus } from '../control/index.ts'
import type { Manifest } from '../image/index.ts'
import { imageCidText, readManifest, sourceOf } from '../image/index.ts'
import type { Store } from '../store/index.ts'

/** The images of a store, and the manifests of those that machines are busy with, read once. */
export class ServedImages {
  #store: Store
  #manifests = new Map<ChunkId, Promise<Manifest | undefined>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** What machines may ask for by name. */
  named(): SeedStatus['images'] {
    return this.#store.releases().map(({ name, tag, imageId }) => ({
      name,
      tag,
      cid: imageCidText(imageId)
    }))
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
    // What cannot be read now may be once the disk is well, or the image imported again.
    manifest.catch(() => this.#manifests.delete(imageId))
    if (this.#manifests.size > limits.manifestsHeldMax) {
      const [oldest] = this.#manifests.keys()
      if (oldest !== undefined) this.#manifests.delete(oldest)
    }
    return manifest
  }
}
