import type { ChunkId } from '../base/index.ts'
import type { ManifestBlocks } from '../disk/index.ts'
import { chunkIdOf, decodeRoot, Manifest } from '../image/index.ts'
import type { ImagePlace } from './image-place.ts'

// The manifest stays with the disk metadata, so that a machine which starts without any peer knows
// what its disk shall hold, and can serve the manifest too. Slot 0 is the root, slot n + 1 page n.

export async function keepRoot(disk: ImagePlace, bytes: Uint8Array): Promise<void> {
  await disk.keepManifestBlock(0, bytes)
}

export async function keepPage(disk: ImagePlace, page: number, bytes: Uint8Array): Promise<void> {
  await disk.keepManifestBlock(page + 1, bytes)
}

/** The root, and pages that have come with it. */
export async function keepManifest(
  disk: ImagePlace,
  rootBytes: Uint8Array,
  pages: ReadonlyMap<number, Uint8Array> = new Map()
): Promise<void> {
  await keepRoot(disk, rootBytes)
  for (const [page, bytes] of pages) await keepPage(disk, page, bytes)
}

/** Undefined when the page was never kept, or not whole. */
export async function keptPage(
  disk: ManifestBlocks,
  page: number,
  id: ChunkId
): Promise<Uint8Array | undefined> {
  const bytes = await disk.manifestBlock(page + 1)
  return bytes !== undefined && chunkIdOf(bytes) === id ? bytes : undefined
}

/** The manifest as far as it is kept; undefined when not even its root is. */
export async function keptManifest(
  disk: ManifestBlocks,
  imageId: ChunkId
): Promise<Manifest | undefined> {
  const root = await disk.manifestBlock(0)
  if (root === undefined || chunkIdOf(root) !== imageId) return undefined
  const manifest = new Manifest(decodeRoot(imageId, root))
  for (const [page, id] of manifest.root.pageIds.entries()) {
    const bytes = await keptPage(disk, page, id)
    if (bytes !== undefined) manifest.addPage(page, bytes)
  }
  return manifest
}
