import type { ChunkId, Logger } from '../base/index.ts'
import {
  carryOver,
  decodeBootOrder,
  imageCidText,
  mergeBoots,
  nameSteps,
  signProfile,
  type BootProfile,
  type Manifest
} from '../image/index.ts'
import type { Store } from '../store/index.ts'
import type { ServedImages } from './images.ts'

/** A profile, and the image whose boots it was learned from when that is another one. */
export interface KnownProfile extends BootProfile {
  readonly carriedFrom: ChunkId | undefined
}

/**
 * What the store's machines have taught it about boots of the image: by their own reports of it, or
 * else by those of the image that had the same name before. Undefined when nothing is known.
 */
export function knownProfile(store: Store, manifest: Manifest): KnownProfile | undefined {
  const { imageId } = manifest.root
  const own = store.bootReports(imageId)
  const former = own.length > 0 ? undefined : store.formerlyBooted(imageId)
  const reports = former === undefined ? own : store.bootReports(former)
  const boots = reports.map(({ steps, chunkSize }) => carryOver(steps, chunkSize, manifest))
  const steps = mergeBoots(boots.filter(boot => boot.length > 0))
  if (steps.length === 0) return undefined
  return { imageId, reports: reports.length, steps, carriedFrom: former }
}

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
