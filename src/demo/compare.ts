import { open, type FileHandle } from 'node:fs/promises'

/** A stretch of a disk that the demo wrote itself. */
export interface Written {
  readonly offset: number
  readonly data: Uint8Array
}

const pieceBytes = 4 * 1024 * 1024

/**
 * Reads a finished disk and its image side by side: every byte must be the image's, but where the
 * demo wrote, the demo's. Returns the offset of the first piece that differs, or undefined.
 */
export async function firstDifference(
  diskPath: string,
  imagePath: string,
  writes: readonly Written[]
): Promise<number | undefined> {
  await using disk = await open(diskPath, 'r')
  await using image = await open(imagePath, 'r')
  const { size } = await image.stat()
  const actual = Buffer.alloc(pieceBytes)
  const expected = Buffer.alloc(pieceBytes)
  for (let offset = 0; offset < size; offset += pieceBytes) {
    const length = Math.min(pieceBytes, size - offset)
    await Promise.all([
      readFully(disk, actual, offset, length),
      readFully(image, expected, offset, length)
    ])
    overlay(expected, offset, writes)
    if (Buffer.compare(actual.subarray(0, length), expected.subarray(0, length)) !== 0)
      return offset
  }
  return undefined
}

/** Puts what was written over the image's bytes, as far as it falls into the piece at `start`. */
export function overlay(piece: Buffer, start: number, writes: readonly Written[]): void {
  for (const { offset, data } of writes) {
    const from = Math.max(offset, start)
    const to = Math.min(offset + data.length, start + piece.length)
    if (from < to) piece.set(data.subarray(from - offset, to - offset), from - start)
  }
}

async function readFully(
  file: FileHandle,
  into: Buffer,
  offset: number,
  length: number
): Promise<void> {
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(into, filled, length - filled, offset + filled)
    if (bytesRead === 0) throw new Error(`the file ends at ${offset + filled}`)
    filled += bytesRead
  }
}
