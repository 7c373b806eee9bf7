import type { ChunkId } from '../base/index.ts'
import { ImageDevice, imageCidText, sourceOf, StoredChunks } from '../image/index.ts'
import type { NbdExport } from '../nbd/index.ts'
import type { Store } from '../store/index.ts'

/** Every image of a store that has a name, each as a read-only disk called NAME:TAG. */
export class NbdImages {
  readonly #store: Store
  readonly #devices = new Map<ChunkId, ImageDevice>()

  constructor(store: Store) {
    this.#store = store
  }

  /** What is imported or removed meanwhile is so at the next question. */
  list(): NbdExport[] {
    const images = new Map(this.#store.images().map(image => [image.imageId, image]))
    for (const imageId of this.#devices.keys()) {
      if (!images.has(imageId)) this.#devices.delete(imageId)
    }
    return this.#store.releases().flatMap(({ name, tag, imageId }) => {
      const image = images.get(imageId)
      if (image === undefined) return []
      const device =
        this.#devices.get(imageId) ??
        new ImageDevice(new StoredChunks(image, sourceOf(this.#store)))
      this.#devices.set(imageId, device)
      const description = `bootswarm image ${imageCidText(imageId)}`
      return [{ name: `${name}:${tag}`, description, device, readOnly: true }]
    })
  }
}
