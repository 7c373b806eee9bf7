import { limits, type ChunkId } from '../base/index.ts'
import { zeroId, type Manifest } from '../image/index.ts'

/**
 * What an image consists of on the wire, numbered: its chunks by position, then its manifest pages.
 * Where the same bytes occur more than once, the first item stands for all of them.
 */
export class Items {
  readonly count: number
  readonly manifest: Manifest
  #pagesById = new Map<ChunkId, number[]>()

  constructor(manifest: Manifest) {
    this.manifest = manifest
    const { chunkCount, pageIds } = manifest.root
    this.count = chunkCount + pageIds.length
    for (const [page, id] of pageIds.entries()) {
      this.#pagesById.set(id, [...(this.#pagesById.get(id) ?? []), page])
    }
  }

  /** Undefined for a zero chunk, for one whose page is not here, and beyond the last item. */
  idOf(item: number): ChunkId | undefined {
    const { chunkCount, pageIds } = this.manifest.root
    const id = item < chunkCount ? this.manifest.chunkIdAt(item) : pageIds[item - chunkCount]
    return id === zeroId ? undefined : id
  }

  /** The item that stands for all with this id; undefined for what is not of this image. */
  itemOf(id: ChunkId): number | undefined {
    const [page] = this.pagesOf(id)
    return page === undefined ? this.manifest.positionsOf(id)[0] : this.itemOfPage(page)
  }

  pagesOf(id: ChunkId): readonly number[] {
    return this.#pagesById.get(id) ?? []
  }

  /** The item of the first page with the same bytes. */
  itemOfPage(page: number): number {
    const { chunkCount, pageIds } = this.manifest.root
    const [first = page] = this.pagesOf(pageIds[page] ?? '')
    return chunkCount + first
  }

  /** Plain bytes that may come for the item. */
  plainLengthMax(item: number): number {
    const isPage = item >= this.manifest.root.chunkCount
    return isPage ? limits.manifestBlockBytesMax : this.manifest.chunkLength(item)
  }

  positionsOfPage(page: number): { first: number; end: number } {
    const first = page * limits.pageChunksMax
    return { first, end: Math.min(first + limits.pageChunksMax, this.manifest.root.chunkCount) }
  }
}
