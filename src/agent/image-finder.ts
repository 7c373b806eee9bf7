import { BootswarmError, type ChunkId, type Frame } from '../base/index.ts'
import {
  decodeRoot,
  idOfCidText,
  openRelease,
  parseImageName,
  type ImageRoot
} from '../image/index.ts'
import type { Link } from '../swarm/index.ts'
import { Finder } from './finder.ts'
import type { Peering } from './peering.ts'

export interface FoundImage {
  readonly root: ImageRoot
  readonly rootBytes: Uint8Array
}

/** A peer that has not got the manifest root may have it soon: it is on its way there too. */
const retryMs = 500
/** Another seed may know what one does not: it has this long to be reached and to say so. */
const otherSeedsMs = 3_000

/**
 * The first minutes of a new machine, or the first milliseconds: asks the seeds what a name means,
 * trusts only what the lab signed, and gets the manifest root from whoever has it.
 */
export class ImageFinder extends Finder<FoundImage> {
  #labKey: Uint8Array
  #image: string
  #imageId: ChunkId | undefined
  #asked = new Set<Link>()
  #retries = new Set<NodeJS.Timeout>()
  #seedCount: number
  /** Seeds that know no such image. */
  #without = new Set<string>()

  /** `image` is a name, a name and tag, or a CID. */
  constructor(init: {
    peering: Peering
    labKey: Uint8Array
    image: string
    imageId?: ChunkId
    /** How many seeds there may be. */
    seedCount: number
  }) {
    super(init.peering)
    this.#seedCount = init.seedCount
    this.#labKey = init.labKey
    this.#image = init.image
    this.#imageId = init.imageId ?? idOfCidText(init.image)
  }

  /**
   * Waits for as long as nobody can answer. Rejects with ERR_IMAGE_UNKNOWN when the seeds say that
   * there is no such image, ERR_RELEASE_UNTRUSTED when the lab did not sign what it says.
   */
  async find(signal: AbortSignal): Promise<FoundImage> {
    try {
      return await this.look(signal)
    } finally {
      for (const retry of this.#retries) clearTimeout(retry)
    }
  }

  onPeer(link: Link): void {
    if (this.#imageId !== undefined) this.#askRoot(link)
    else if (link.certificate?.role === 'seed') {
      link.send({ type: 'resolve', request: 0, name: this.#image })
    }
  }

  override onRelease(link: Link, signed: Uint8Array): void {
    if (this.#imageId !== undefined) return
    if (signed.length === 0) {
      this.#lacks(link)
      return
    }
    try {
      const { name, tag, imageId } = openRelease(this.#labKey, signed)
      // A seed could answer with another release of the lab, signed but not the one asked for.
      const asked = parseImageName(this.#image)
      if (name !== asked.name || tag !== asked.tag) throw this.#unknown(link)
      this.#imageId = imageId
      for (const peer of this.peering.swarm.links()) this.#askRoot(peer)
    } catch (error) {
      this.found.reject(error)
    }
  }

  onArrived(_link: Link, id: ChunkId, bytes: Uint8Array, frame: Frame): void {
    if (id !== this.#imageId) return
    try {
      const plain = Uint8Array.from(bytes)
      this.found.resolve({ root: decodeRoot(id, plain), rootBytes: plain })
      this.peering.relay(id, frame)
    } catch (error) {
      this.found.reject(error)
    }
  }

  onRefused(link: Link, id: ChunkId): void {
    this.#asked.delete(link)
    if (link.certificate?.role === 'seed' && idOfCidText(this.#image) === id) {
      this.#lacks(link)
    }
    this.#later(() => this.#askRoot(link))
  }

  onRedirected(link: Link): void {
    this.#asked.delete(link)
    this.#askRoot(link)
  }

  onCorrupt(link: Link): void {
    this.#asked.delete(link)
  }

  onGone(link: Link): void {
    this.#asked.delete(link)
  }

  #lacks(link: Link): void {
    const isFirst = this.#without.size === 0
    this.#without.add(link.peerId)
    const unknown = (): void => this.found.reject(this.#unknown(link))
    if (this.#without.size >= this.#seedCount) unknown()
    else if (isFirst) this.#later(unknown, otherSeedsMs)
  }

  #askRoot(link: Link): void {
    if (this.#imageId === undefined || link.closed || this.#asked.has(link)) return
    this.#asked.add(link)
    this.askFor(link, this.#imageId)
  }

  #later(work: () => void, ms = retryMs): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer)
      work()
    }, ms)
    this.#retries.add(timer)
  }

  #unknown(link: Link): BootswarmError {
    const seed = link.certificate?.name ?? link.peerId
    return new BootswarmError(
      'ERR_IMAGE_UNKNOWN',
      `the seed ${seed} knows no image ${this.#image}; on the seed, 'bootswarm image list' shows what it has`
    )
  }
}
