import type { ChunkId, Logger } from '../base/index.ts'
import {
  decodeBootOrder,
  imageCidText,
  nameSteps,
  signProfile,
  type Manifest
} from '../image/index.ts'
import { knownProfile, type Store } from '../store/index.ts'
import type { ServedImages } from './images.ts'

/** Learns from machines what boots read, and tells the next ones. */
export class BootProfiles {
  #store: Store
  #images: ServedImages
  #logger: Logger
  /** Signed, of the images that were asked for; a new report makes the next one again. */
  #signed = new Map<ChunkId, Uint8Array | undefined>()

  constructor(store: Store, images: ServedImages, logger: Logger) {
    this.#store = store
    this.#images = images
    this.#logger = logger
  }

  /** What the lab says of the image's boots; undefined when it knows nothing. */
  signed(manifest: Manifest): Uint8Array | undefined {
    const { imageId } = manifest.root
    if (this.#signed.has(imageId)) return this.#signed.get(imageId)
    const profile = knownProfile(this.#store, manifest)
    const signed = profile && signProfile(this.#store.lab, profile)
    this.#signed.set(imageId, signed)
    return signed
  }

  /** A machine says what its boot read; what is malformed or of an unknown image changes nothing. */
  async learn(machine: string, imageId: ChunkId, order: Uint8Array): Promise<void> {
    const steps = decodeBootOrder(order)
    const manifest = steps && (await this.#images.manifest(imageId))
    if (steps === undefined || manifest === undefined) return
    const { chunkSize } = manifest.root
    const named = nameSteps(steps, manifest)
    if (named.length === 0) return
    this.#store.addBootReport({ imageId, machine, chunkSize, steps: named })
    this.#signed.clear()
    const image = imageCidText(imageId)
    this.#logger.debug('a boot was reported', { image, machine, chunks: named.length })
  }
}
