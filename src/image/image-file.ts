import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { BootswarmError, sizeOf, limits, nextDataExtent } from '../base/index.ts'
import { fileError } from './files.ts'

/** A piece of the image file that may hold data: whole chunks, but for the end of the image. */
export interface Piece {
  readonly offset: number
  readonly bytes: Buffer
}

/** An image file or block device, open for reading. */
export class ImageFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly #handle: FileHandle
  readonly #before: BigIntStats
  /** Buffers of pieces that nobody needs any more: fresh ones for all would be much garbage. */
  readonly #free: Buffer[] = []

  constructor(path: string, size: number, handle: FileHandle, before: BigIntStats) {
    this.path = path
    this.size = size
    this.#handle = handle
    this.#before = before
  }

  /** Ranges to read, ascending, in multiples of `unit` bytes; what lies between them is holes. */
  *dataRanges(unit: number, lengthMax: number): Generator<{ offset: number; length: number }> {
    let offset = 0
    for (;;) {
      const extent = nextDataExtent(this.#handle.fd, offset, this.size)
      if (extent === undefined) return
      const start = Math.floor(Math.max(extent.offset, offset) / unit) * unit
      const end = Math.min(Math.ceil((extent.offset + extent.length) / unit) * unit, this.size)
      for (offset = start; offset < end; offset += lengthMax) {
        yield { offset, length: Math.min(lengthMax, end - offset) }
      }
      offset = end
    }
  }

  async read(offset: number, length: number): Promise<Piece> {
    const bytes = this.#take(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, length - done, offset + done)
        .catch((error: unknown) => {
          throw fileError(error, this.path)
        })
      if (bytesRead === 0) throw changed(this.path)
      done += bytesRead
    }
    return { offset, bytes }
  }

  /** Gives a piece back. Its bytes are overwritten by a later read. */
  release(piece: Piece): void {
    this.#free.push(piece.bytes)
  }

  #take(length: number): Buffer {
    const free = this.#free.pop()
    return free?.length === length ? free : Buffer.allocUnsafeSlow(length)
  }

  /** ERR_IMAGE_CHANGED if the file was written to since it was opened, as far as its times tell. */
  async assertUnchanged(): Promise<void> {
    const after = await this.#handle.stat({ bigint: true })
    const before = this.#before
    if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) throw changed(this.path)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/**
 * Opens a raw image. ERR_FILE_MISSING, ERR_IMAGE_KIND, ERR_IMAGE_EMPTY, ERR_IMAGE_SIZE, each naming
 * the file and what to do.
 */
export async function openImageFile(path: string): Promise<ImageFile> {
  try {
    // Before opening: to open a pipe would wait for its writer.
    assertKind(path, await stat(path, { bigint: true }))
    const handle = await open(path, 'r')
    try {
      return await examine(path, handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw fileError(error, path)
  }
}

/** Rejects as `openImageFile` does for a file that cannot be imported. */
export async function checkImageFile(path: string): Promise<void> {
  await (await openImageFile(path)).close()
}

async function examine(path: string, handle: FileHandle): Promise<ImageFile> {
  const stats = await handle.stat({ bigint: true })
  assertKind(path, stats)
  const size = await fileSize(path, stats)
  if (size === 0) throw new BootswarmError('ERR_IMAGE_EMPTY', `${path} is empty`)
  const head = Buffer.alloc(headBytes)
  await handle.read(head, 0, headBytes, 0)
  assertRaw(path, head)
  if (size % limits.sectorBytes !== 0) {
    throw new BootswarmError(
      'ERR_IMAGE_SIZE',
      `${path} has ${size} bytes, which is not a multiple of 512: it is cut short, or no disk image`
    )
  }
  return new ImageFile(path, size, handle, stats)
}

function assertKind(path: string, stats: BigIntStats): void {
  if (stats.isFile() || stats.isBlockDevice()) return
  const kind = stats.isDirectory() ? 'is a directory' : 'is neither a file nor a block device'
  throw new BootswarmError('ERR_IMAGE_KIND', `${path} ${kind}; name a raw disk image`)
}

/** Bytes of a file or block device. ERR_IMAGE_KIND. */
export async function fileSize(path: string, stats: BigIntStats): Promise<number> {
  const size = await sizeOf(stats)
  if (size !== undefined) return size
  throw new BootswarmError('ERR_IMAGE_KIND', `the kernel does not tell the size of ${path}`)
}

const headBytes = 512

interface OtherFormat {
  readonly name: string
  readonly offset: number
  readonly magic: Buffer
  readonly remedy: 'convert' | 'decompress'
}

function format(name: string, magic: string, offset = 0): OtherFormat {
  return { name, offset, magic: Buffer.from(magic, 'latin1'), remedy: 'convert' }
}

function compression(name: string, magic: string): OtherFormat {
  return { name, offset: 0, magic: Buffer.from(magic, 'latin1'), remedy: 'decompress' }
}

// What a user may well take for a raw image. None of them can begin a disk that boots.
const otherFormats = [
  format('qcow2', 'QFI\xfb'),
  format('VMDK', 'KDMV'),
  format('VMDK', '# Disk DescriptorFile'),
  format('VHDX', 'vhdxfile'),
  format('VHD', 'conectix'),
  format('VDI', '\x7f\x10\xda\xbe', 64),
  compression('gzip', '\x1f\x8b\x08'),
  compression('xz', '\xfd7zXZ\0'),
  compression('zstd', '\x28\xb5\x2f\xfd'),
  compression('bzip2', 'BZh')
]

function assertRaw(path: string, head: Buffer): void {
  const found = otherFormats.find(({ offset, magic }) =>
    head.subarray(offset, offset + magic.length).equals(magic)
  )
  if (found === undefined) return
  const remedy =
    found.remedy === 'convert'
      ? `convert it first: qemu-img convert -O raw ${path} IMAGE.raw`
      : 'decompress it first'
  throw new BootswarmError(
    'ERR_IMAGE_KIND',
    `${path} is a ${found.name} file, not a raw image; ${remedy}`
  )
}

function changed(path: string): BootswarmError {
  return new BootswarmError(
    'ERR_IMAGE_CHANGED',
    `${path} changed while it was read; stop what writes to it and import again`
  )
}
