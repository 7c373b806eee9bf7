import { open, type FileHandle } from 'node:fs/promises'
import { nextDataExtent } from '../../src/base/index.ts'

const pieceBytes = 4 * 1024 * 1024

/**
 * Compares each disk with the image, every byte: a verdict a disk, undefined when they are equal,
 * else where they differ first. Where neither has data there is nothing to compare.
 */
export async function compareDisks(
  imagePath: string,
  diskPaths: readonly string[]
): Promise<(string | undefined)[]> {
  await using image = await open(imagePath, 'r')
  const { size } = await image.stat()
  const verdicts: (string | undefined)[] = []
  // One disk after the other: the image is read again each time, but from memory.
  for (const path of diskPaths) verdicts.push(await compareDisk(image, size, path))
  return verdicts
}

async function compareDisk(
  image: FileHandle,
  size: number,
  path: string
): Promise<string | undefined> {
  await using disk = await open(path, 'r')
  const { size: diskSize } = await disk.stat()
  if (diskSize !== size) return `${path} has ${diskSize} bytes, the image ${size}`
  const expected = Buffer.alloc(pieceBytes)
  const actual = Buffer.alloc(pieceBytes)
  for (let offset = 0; offset < size; offset += pieceBytes) {
    const length = Math.min(pieceBytes, size - offset)
    if (!hasData(image, offset, length) && !hasData(disk, offset, length)) continue
    await Promise.all([
      image.read(expected, 0, length, offset),
      disk.read(actual, 0, length, offset)
    ])
    if (expected.compare(actual, 0, length, 0, length) !== 0) return `${path} differs at ${offset}`
  }
  return undefined
}

function hasData({ fd }: FileHandle, offset: number, length: number): boolean {
  return nextDataExtent(fd, offset, offset + length) !== undefined
}

/** Which of the chunks at these positions a disk holds as the image has them. */
export async function chunksHeld(
  imagePath: string,
  diskPath: string,
  positions: readonly number[],
  chunkSize: number
): Promise<Set<number>> {
  await using image = await open(imagePath, 'r')
  await using disk = await open(diskPath, 'r')
  const expected = Buffer.alloc(chunkSize)
  const actual = Buffer.alloc(chunkSize)
  const held = new Set<number>()
  for (const position of positions) {
    const offset = position * chunkSize
    if (!hasData(disk, offset, chunkSize)) continue
    const { bytesRead: length } = await image.read(expected, 0, chunkSize, offset)
    await disk.read(actual, 0, length, offset)
    if (expected.compare(actual, 0, length, 0, length) === 0) held.add(position)
  }
  return held
}
