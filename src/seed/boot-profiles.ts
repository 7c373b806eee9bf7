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

/** What the lab says of an image's boots. */
export interface KnownBoot {
  readonly signed: Uint8Array
  /** What it names, in its order. */
  readonly ids: readonly ChunkId[]
}

/** Learns from machines what boots read, and tells the next ones. */
export class BootProfiles {
  #store: Store
  #images: ServedImages
  #logger: Logger
  /** Of the images that were asked for; a new report makes the next one again. */
  #known = new Map<ChunkId, KnownBoot | undefined>()

  constructor(store: Store, images: ServedImages, logger: Logger) {
    this.#store = store
    this.#images = images
    this.#logger = logger
  }

  /** Undefined when the lab knows nothing of the image's boots. */
  of(manifest: Manifest): KnownBoot | undefined {
    const { imageId } = manifest.root
    if (!this.#known.has(imageId)) this.#known.set(imageId, this.#find(manifest))
    return this.#known.get(imageId)
  }

  #find(manifest: Manifest): KnownBoot | undefined {
    const profile = knownProfile(this.#store, manifest)
    if (profile === undefined) return undefined
    const ids = profile.steps.flatMap(({ position }) => manifest.chunkIdAt(position) ?? [])
    return { signed: signProfile(this.#store.lab, profile), ids }
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
    this.#known.clear()
    const image = imageCidText(imageId)
    this.#logger.debug('a boot was reported', { image, machine, chunks: named.length })
  }
}
