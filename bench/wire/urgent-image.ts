import { limits, type ChunkId } from '../../src/base/index.ts'
import { chunkIdOf, decodeRoot, encodePage, encodeRoot, Manifest } from '../../src/image/index.ts'

const size = limits.chunkBytesDefault

/** Each differs from the others; whether it compresses does not matter, for it is sent plain. */
export function chunkAt(position: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeUInt32BE(position, 0)
  return bytes
}

/** An image that exists nowhere: both sides make of a position what it holds. */
export function imageOf(chunks: number): { manifest: Manifest; positions: Map<ChunkId, number> } {
  const ids = Array.from({ length: chunks }, (_, position) => chunkIdOf(chunkAt(position)))
  const pages: Uint8Array[] = []
  for (let first = 0; first < chunks; first += limits.pageChunksMax) {
    pages.push(encodePage(ids.slice(first, first + limits.pageChunksMax)))
  }
  const pageIds = pages.map(chunkIdOf)
  const root = encodeRoot({ size: chunks * size, chunkSize: size, pageIds })
  const manifest = new Manifest(decodeRoot(chunkIdOf(root), root))
  for (const [page, bytes] of pages.entries()) manifest.addPage(page, bytes)
  return { manifest, positions: new Map(ids.map((id, position) => [id, position])) }
}
