import type { ChunkId, Frame } from '../base/index.ts'
import { Manifest, type ImageRoot } from '../image/index.ts'
import type { Link } from '../swarm/index.ts'
import { Finder } from './finder.ts'
import type { Peering } from './peering.ts'

const pagesInFlight = 4
const retryMs = 200

export interface FoundManifest {
  readonly manifest: Manifest
  /** The blocks of its pages, as they came. */
  readonly pages: ReadonlyMap<number, Uint8Array>
}

/**
 * Gets all pages of a manifest before the disk is opened, which a machine needs only to find out what
 * of the new image its disk holds already: 32 bytes a chunk, from whichever peers answer.
 */
export class ManifestFinder extends Finder<void> {
  #manifest: Manifest
  #blocks = new Map<number, Uint8Array>()
  /** Pages that are not here, by their names. */
  #pages = new Map<ChunkId, number[]>()
  #asked = new Map<ChunkId, Link>()
  #turn = 0
  #retry: NodeJS.Timeout | undefined

  constructor(peering: Peering, root: ImageRoot) {
    super(peering)
    this.#manifest = new Manifest(root)
    for (const [page, id] of root.pageIds.entries()) {
      this.#pages.set(id, [...(this.#pages.get(id) ?? []), page])
    }
  }

  /** Waits for as long as nobody can answer; rejects with the signal's reason, ERR_MANIFEST_INVALID. */
  async find(signal: AbortSignal): Promise<FoundManifest> {
    try {
      const found = this.look(signal)
      this.#ask()
      await found
      return { manifest: this.#manifest, pages: this.#blocks }
    } finally {
      clearTimeout(this.#retry)
    }
  }

  onPeer(): void {
    this.#ask()
  }

  onArrived(_link: Link, id: ChunkId, bytes: Uint8Array, frame: Frame): void {
    this.#asked.delete(id)
    const pages = this.#pages.get(id)
    if (pages === undefined) return
    // What came is in memory that is used again, and the manifest keeps its pages.
    const plain = Uint8Array.from(bytes)
    try {
      for (const page of pages) {
        this.#manifest.addPage(page, plain)
        this.#blocks.set(page, plain)
      }
    } catch (error) {
      this.found.reject(error)
      return
    }
    this.#pages.delete(id)
    this.peering.relay(id, frame)
    this.#ask()
  }

  onRefused(_link: Link, id: ChunkId): void {
    this.#again(id)
  }

  onRedirected(_link: Link, id: ChunkId): void {
    this.#again(id)
  }

  onCorrupt(_link: Link, id: ChunkId): void {
    this.#again(id)
  }

  onGone(link: Link): void {
    for (const [id, asked] of this.#asked) if (asked === link) this.#again(id)
  }

  #ask(): void {
    if (this.#pages.size === 0) {
      this.found.resolve()
      return
    }
    const links = this.peering.swarm.links()
    for (const id of this.#pages.keys()) {
      if (this.#asked.size >= pagesInFlight) return
      if (this.#asked.has(id)) continue
      // Each time another peer: one that lacks the page refuses.
      const link = links[this.#turn++ % links.length]
      if (link === undefined) return
      this.#asked.set(id, link)
      this.askFor(link, id)
    }
  }

  #again(id: ChunkId): void {
    this.#asked.delete(id)
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.#ask()
    }, retryMs)
  }
}
