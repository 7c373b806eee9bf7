import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, ChunkSource } from '../base/index.ts'
import { ChunkTable } from './chunk-table.ts'
import { decodePage, decodeRoot, pageChunks } from './format.ts'
import type { ImageRoot } from './format.ts'
import { chunkIdOf, zeroId } from './ids.ts'
import { drain, inParallel } from './streams.ts'

const pagesInFlight = 4

/** An image's list of chunks, whose pages may come in any order while it is already in use. */
export class Manifest {
  readonly root: ImageRoot
  readonly #table: ChunkTable

  constructor(root: ImageRoot) {
    this.root = root
    this.#table = new ChunkTable(root.chunkCount)
  }

  /** Numbers of the pages that are not here yet, ascending. */
  missingPages(): number[] {
    return this.root.pageIds.flatMap((_, page) => (this.hasPage(page) ? [] : [page]))
  }

  hasPage(page: number): boolean {
    return this.#table.hasPage(page)
  }

  /**
   * Takes in a page block. ERR_CHUNK_CORRUPT if the bytes are not that page, ERR_MANIFEST_INVALID if
   * they are malformed. A page that is here already is ignored.
   */
  addPage(page: number, bytes: Uint8Array): void {
    const pageId = this.root.pageIds[page]
    if (pageId === undefined) {
      throw new BootswarmError('ERR_MANIFEST_INVALID', `the manifest has no page ${page}`)
    }
    if (this.hasPage(page)) return
    if (chunkIdOf(bytes) !== pageId) {
      throw new BootswarmError('ERR_CHUNK_CORRUPT', `manifest page ${page} is not block ${pageId}`)
    }
    this.#table.setPage(page, decodePage(bytes, pageChunks(this.root.chunkCount, page)))
  }

  /** The page that lists the chunk at `position`. */
  pageOf(position: number): number {
    return Math.floor(position / limits.pageChunksMax)
  }

  /** `zeroId` for an all-zero chunk; undefined while the page is not here. */
  chunkIdAt(position: number): ChunkId | undefined {
    return this.#table.idAt(position)
  }

  /** Plain bytes of the chunk at `position`: the last one may be short. */
  chunkLength(position: number): number {
    return Math.min(this.root.chunkSize, this.root.size - position * this.root.chunkSize)
  }

  /** Every position, in the pages that are here, of a chunk that is not zero; ascending. */
  positionsOf(id: ChunkId): number[] {
    return this.#table.positionsOf(id)
  }

  /**
   * Each distinct chunk of the pages that are here, but for the zero chunk, with its first position.
   */
  *distinctChunks(): Generator<{ id: ChunkId; position: number }> {
    const seen = new Uint8Array(this.root.chunkCount)
    for (let position = 0; position < this.root.chunkCount; position++) {
      const id = this.chunkIdAt(position)
      if (id === undefined || id === zeroId || seen[position] === 1) continue
      for (const duplicate of this.positionsOf(id)) seen[duplicate] = 1
      yield { id, position }
    }
  }
}

/** Reads a whole manifest, root and all pages, from a source. Rejects as the source does. */
export async function readManifest(
  imageId: ChunkId,
  source: ChunkSource,
  signal?: AbortSignal
): Promise<Manifest> {
  const root = decodeRoot(imageId, await source.fetch(imageId, signal))
  const manifest = new Manifest(root)
  const load = inParallel(pagesInFlight, async ([pageId, pages]: [ChunkId, number[]]) => {
    const bytes = await source.fetch(pageId, signal)
    for (const page of pages) manifest.addPage(page, bytes)
  })
  await drain(load(pagesById(root)))
  return manifest
}

/** An image with large empty stretches has the same page many times; it is fetched once. */
function pagesById(root: ImageRoot): Map<ChunkId, number[]> {
  const pages = new Map<ChunkId, number[]>()
  for (const [page, pageId] of root.pageIds.entries()) {
    const known = pages.get(pageId)
    if (known === undefined) pages.set(pageId, [page])
    else known.push(page)
  }
  return pages
}
