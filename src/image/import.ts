import { pipe } from 'it-pipe'
import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, ChunkStore } from '../base/index.ts'
import { ChunkTable } from './chunk-table.ts'
import { encodePage, encodeRoot, geometryFault } from './format.ts'
import { encodeFrame } from './frames.ts'
import { chunkIdOf, isZero, zeroId } from './ids.ts'
import { openImageFile } from './image-file.ts'
import type { ImageFile, Piece } from './image-file.ts'
import { inParallel } from './streams.ts'

export interface ImageProgress {
  /** Bytes of the image that are done, holes included. */
  readonly bytesDone: number
  readonly size: number
}

export interface ImportOptions {
  readonly path: string
  /** Bytes; `limits.chunkBytesDefault` if not given. */
  readonly chunkSize?: number
  readonly store: ChunkStore
  readonly onProgress?: (progress: ImageProgress) => void
  readonly signal?: AbortSignal
}

export interface ImportResult {
  readonly imageId: ChunkId
  readonly size: number
  readonly chunkSize: number
  /** Chunks of the whole image. */
  readonly chunks: number
  readonly zeroChunks: number
  /** Different chunks among those that are not zero. */
  readonly distinctChunks: number
  /** Bytes of the distinct chunks' frames: what a machine that has nothing must receive. */
  readonly storedBytes: number
  /** Bytes of the frames that the store did not hold before. */
  readonly newBytes: number
}

/** A chunk on its way. It has no bytes if it is zero or came before in this image. */
interface Chunk {
  readonly position: number
  readonly id: ChunkId
  readonly plain: Uint8Array | undefined
  /** The piece that it is the last chunk of. */
  readonly endOf: Piece | undefined
}

interface Stored {
  readonly chunk: Chunk
  readonly frameBytes: number
  readonly isNew: boolean
}

const readBytes = 1024 * 1024
const readsInFlight = 2
// As many as libuv has threads: more would only hold memory, and few large ones hold much.
const chunksInFlightMax = 4
const bytesInFlight = 8 * 1024 * 1024

/**
 * Cuts an image file into chunks, puts those that the store lacks into it, then the manifest. Bytes
 * are pulled from the disk only as the store takes them. Rejects with ERR_STOPPED on `signal`; what
 * was stored until then stays and is found again by the next import.
 */
export async function importImage(options: ImportOptions): Promise<ImportResult> {
  const { path, chunkSize = limits.chunkBytesDefault, signal } = options
  const file = await openImageFile(path)
  try {
    const fault = geometryFault(file.size, chunkSize)
    if (fault !== undefined) throw new BootswarmError('ERR_IMAGE_SIZE', `${path}: ${fault}`)
    const counts = await storeChunks(file, chunkSize, options)
    await file.assertUnchanged()
    assertGoingOn(path, signal)
    return counts
  } finally {
    await file.close()
  }
}

async function storeChunks(
  file: ImageFile,
  chunkSize: number,
  { store, onProgress, signal }: ImportOptions
): Promise<ImportResult> {
  const { size, path } = file
  const table = new ChunkTable(Math.ceil(size / chunkSize))
  const unit = Math.max(chunkSize, readBytes)
  const counts = { filled: 0, distinct: 0, stored: 0, new: 0 }
  const pieces = inParallel(readsInFlight, (range: { offset: number; length: number }) => {
    assertGoingOn(path, signal)
    return file.read(range.offset, range.length)
  })
  const stored = pipe(
    file.dataRanges(chunkSize, unit),
    pieces,
    source => cutAndName(source, chunkSize, table),
    inParallel(chunksInFlight(chunkSize), (chunk: Chunk) => storeChunk(store, chunk))
  )
  for await (const { chunk, frameBytes, isNew } of stored) {
    // Chunks come out in order, so nothing reads in the piece any more once its last one is here.
    if (chunk.endOf !== undefined) file.release(chunk.endOf)
    if (chunk.id !== zeroId) counts.filled += 1
    if (frameBytes > 0) counts.distinct += 1
    counts.stored += frameBytes
    if (isNew) counts.new += frameBytes
    onProgress?.({ bytesDone: Math.min((chunk.position + 1) * chunkSize, size), size })
  }
  assertGoingOn(path, signal)
  onProgress?.({ bytesDone: size, size })
  return {
    imageId: await storeManifest(store, size, chunkSize, table),
    size,
    chunkSize,
    chunks: table.chunkCount,
    zeroChunks: table.chunkCount - counts.filled,
    distinctChunks: counts.distinct,
    storedBytes: counts.stored,
    newBytes: counts.new
  }
}

function chunksInFlight(chunkSize: number): number {
  return Math.min(chunksInFlightMax, bytesInFlight / chunkSize)
}

/** Cuts pieces into chunks and names them. */
async function* cutAndName(
  source: AsyncIterable<Piece>,
  chunkSize: number,
  table: ChunkTable
): AsyncGenerator<Chunk> {
  for await (const piece of source) {
    const { offset, bytes } = piece
    for (let start = 0; start < bytes.length; start += chunkSize) {
      const position = (offset + start) / chunkSize
      const endOf = start + chunkSize >= bytes.length ? piece : undefined
      const plain = bytes.subarray(start, start + chunkSize)
      const id = isZero(plain) ? zeroId : chunkIdOf(plain)
      const isKnown = id === zeroId || table.includes(id)
      if (id !== zeroId) table.setId(position, id)
      yield { position, id, plain: isKnown ? undefined : plain, endOf }
    }
  }
}

async function storeChunk(store: ChunkStore, chunk: Chunk): Promise<Stored> {
  const { id, plain } = chunk
  if (plain === undefined) return { chunk, frameBytes: 0, isNew: false }
  // A chunk that the store holds is read, not trusted: an image is never built on a damaged frame.
  const held = await store.get(id)
  if (held !== undefined) return { chunk, frameBytes: held.bytes.length, isNew: false }
  const frame = await encodeFrame(plain)
  await store.put(id, frame)
  return { chunk, frameBytes: frame.bytes.length, isNew: true }
}

/** Pages first, the root last: a root in a store is never without its pages. */
async function storeManifest(
  store: ChunkStore,
  size: number,
  chunkSize: number,
  table: ChunkTable
): Promise<ChunkId> {
  const pageIds: ChunkId[] = []
  for (let page = 0; page < table.pageCount; page++) {
    pageIds.push(await storeBlock(store, encodePage(table.pageDigests(page))))
  }
  return storeBlock(store, encodeRoot({ size, chunkSize, pageIds }))
}

async function storeBlock(store: ChunkStore, bytes: Uint8Array): Promise<ChunkId> {
  const id = chunkIdOf(bytes)
  if (!store.has(id)) await store.put(id, await encodeFrame(bytes))
  return id
}

function assertGoingOn(path: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new BootswarmError('ERR_STOPPED', `the import of ${path} was stopped; no image was added`)
}
