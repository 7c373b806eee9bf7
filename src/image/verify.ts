import { BootswarmError } from '../base/index.ts'
import type { ChunkSource } from '../base/index.ts'
import type { ImageProgress } from './import.ts'
import type { Manifest } from './manifest.ts'
import { inParallel } from './streams.ts'

export interface VerifyOptions {
  readonly manifest: Manifest
  readonly source: ChunkSource
  /** `bytesDone` counts the plain bytes up to the last new chunk. */
  readonly onProgress?: (progress: ImageProgress) => void
  readonly signal?: AbortSignal
}

export interface VerifyResult {
  readonly distinctChunks: number
  /** Plain bytes that were hashed. */
  readonly bytes: number
}

const chunksInFlight = 4

/**
 * Reads every distinct chunk of an image; the source checks hashes, this the lengths. Rejects with the
 * source's error at the first chunk that is bad, or ERR_CHUNK_CORRUPT for one of a wrong length.
 */
export async function verifyImage(options: VerifyOptions): Promise<VerifyResult> {
  const { manifest, source, onProgress, signal } = options
  const { size, chunkSize } = manifest.root
  const read = inParallel(chunksInFlight, async (chunk: { id: string; position: number }) => {
    if (signal?.aborted === true) {
      throw new BootswarmError('ERR_STOPPED', 'the verification was stopped')
    }
    const plain = await source.fetch(chunk.id, signal)
    assertChunkLength(manifest, chunk.position, plain)
    return { position: chunk.position, length: plain.length }
  })
  let distinctChunks = 0
  let bytes = 0
  for await (const { position, length } of read(manifest.distinctChunks())) {
    distinctChunks += 1
    bytes += length
    onProgress?.({ bytesDone: Math.min((position + 1) * chunkSize, size), size })
  }
  onProgress?.({ bytesDone: size, size })
  return { distinctChunks, bytes }
}

/** ERR_CHUNK_CORRUPT when a chunk, though its hash is right, cannot stand at that position. */
export function assertChunkLength(manifest: Manifest, position: number, plain: Uint8Array): void {
  const expected = manifest.chunkLength(position)
  if (plain.length === expected) return
  throw new BootswarmError(
    'ERR_CHUNK_CORRUPT',
    `the chunk at position ${position} has ${plain.length} bytes, the manifest wants ${expected}`
  )
}
