import { open, realpath, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { BootswarmError } from '../base/index.ts'
import type { ChunkSource } from '../base/index.ts'
import { fileError, replaceWith, writeFully } from './files.ts'
import { isZero, zeroId } from './ids.ts'
import { fileSize } from './image-file.ts'
import type { ImageProgress } from './import.ts'
import type { Manifest } from './manifest.ts'
import { drain, inParallel } from './streams.ts'
import { assertChunkLength } from './verify.ts'

export interface ExportOptions {
  /** With all its pages. */
  readonly manifest: Manifest
  readonly source: ChunkSource
  /** A file, made or replaced as a whole, or a block device, written in place. */
  readonly path: string
  readonly onProgress?: (progress: ImageProgress) => void
  readonly signal?: AbortSignal
}

const chunksInFlight = 4

/**
 * Writes an image out, byte for byte. A file gets holes for zero chunks and appears under its name
 * only when it is whole and on stable storage; on a block device zeros are written.
 */
export async function exportImage(options: ExportOptions): Promise<void> {
  const { path } = options
  try {
    const existing = await stat(path, { bigint: true }).catch(() => undefined)
    if (existing?.isBlockDevice() === true) {
      await exportToDevice(options, await fileSize(path, existing))
    } else if (existing === undefined || existing.isFile()) {
      // Through a link to what it names: the link itself stays.
      await exportToFile(options, existing === undefined ? path : await realpath(path))
    } else {
      throw new BootswarmError('ERR_IMAGE_KIND', `${path} is neither a file nor a block device`)
    }
  } catch (error) {
    throw fileError(error, path)
  }
}

async function exportToDevice(options: ExportOptions, deviceSize: number): Promise<void> {
  const { path, manifest } = options
  const { size } = manifest.root
  if (deviceSize < size) {
    throw new BootswarmError(
      'ERR_TARGET_TOO_SMALL',
      `${path} has ${deviceSize} bytes, the image needs ${size}`
    )
  }
  const handle = await open(path, 'r+')
  try {
    await writeChunks(handle, options, true)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function exportToFile(options: ExportOptions, path: string): Promise<void> {
  await replaceWith(path, 0o666, async handle => {
    await handle.truncate(options.manifest.root.size)
    await writeChunks(handle, options, false)
  })
}

async function writeChunks(
  handle: FileHandle,
  { manifest, source, path, onProgress, signal }: ExportOptions,
  writeZeros: boolean
): Promise<void> {
  const { size, chunkSize, chunkCount } = manifest.root
  const write = inParallel(chunksInFlight, async (position: number) => {
    if (signal?.aborted === true) {
      throw new BootswarmError('ERR_STOPPED', `the export to ${path} was stopped`)
    }
    const plain = await plainAt(manifest, position, source, signal)
    assertChunkLength(manifest, position, plain)
    if (writeZeros || !isZero(plain)) await writeFully(handle, plain, position * chunkSize)
    onProgress?.({ bytesDone: Math.min((position + 1) * chunkSize, size), size })
  })
  await drain(write(positions(manifest, chunkCount, writeZeros)))
}

function* positions(manifest: Manifest, count: number, withZeros: boolean): Generator<number> {
  for (let position = 0; position < count; position++) {
    if (withZeros || manifest.chunkIdAt(position) !== zeroId) yield position
  }
}

async function plainAt(
  manifest: Manifest,
  position: number,
  source: ChunkSource,
  signal: AbortSignal | undefined
): Promise<Uint8Array> {
  const id = manifest.chunkIdAt(position)
  if (id === undefined) {
    throw new BootswarmError('ERR_MANIFEST_INVALID', `the page of chunk ${position} is not here`)
  }
  return id === zeroId ? new Uint8Array(manifest.chunkLength(position)) : source.fetch(id, signal)
}
