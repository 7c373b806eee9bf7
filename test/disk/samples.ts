import { randomBytes } from 'node:crypto'
import { seededRandom, silentLogger } from '../../src/base/index.ts'
import type { NeedReason, TargetDiskOptions } from '../../src/disk/index.ts'
import { chunkIdOf, isZero, zeroId } from '../../src/image/index.ts'

export interface SampleImage {
  readonly imageId: string
  readonly size: number
  readonly chunkSize: number
  readonly chunkCount: number
  readonly bytes: Buffer
  chunk(position: number): Buffer
  chunkIdAt(position: number): string
}

/** An image of random bytes but for the chunks named as zero. */
export function sampleImage(
  seed: number,
  size: number,
  { chunkSize = 16384, zeroChunks = [] as readonly number[] } = {}
): SampleImage {
  const random = seededRandom(seed)
  const bytes = Buffer.alloc(size)
  for (let offset = 0; offset + 4 <= size; offset += 4) {
    bytes.writeUInt32BE(1 + Math.floor(random.next() * 0xffff_fffe), offset)
  }
  for (const position of zeroChunks) {
    bytes.fill(0, position * chunkSize, (position + 1) * chunkSize)
  }
  const chunk = (position: number): Buffer =>
    bytes.subarray(position * chunkSize, Math.min((position + 1) * chunkSize, size))
  return {
    imageId: chunkIdOf(Buffer.from(`image ${seed} ${size}`)),
    size,
    chunkSize,
    chunkCount: Math.ceil(size / chunkSize),
    bytes,
    chunk,
    chunkIdAt: position => (isZero(chunk(position)) ? zeroId : chunkIdOf(chunk(position)))
  }
}

export { temporaryDirectory } from '../helpers/process.ts'

export const labKey = new Uint8Array(32).fill(7)

export interface Needs {
  readonly asked: { position: number; why: NeedReason }[]
  readonly needless: number[]
  readonly servable: number[]
}

/** Options to open a disk with, and a record of what it asks for. */
export function optionsFor(
  path: string,
  image: SampleImage,
  more: Partial<TargetDiskOptions> = {}
): TargetDiskOptions & { needs: Needs } {
  const needs: Needs = { asked: [], needless: [], servable: [] }
  return {
    path,
    image,
    labKey,
    logger: silentLogger,
    onNeed: (position, why) => needs.asked.push({ position, why }),
    onNeedless: position => needs.needless.push(position),
    onServable: position => needs.servable.push(position),
    needs,
    ...more
  }
}

/** Gives a disk everything that it needs. */
export async function placeAll(
  disk: {
    needs(position: number): boolean
    place(position: number, plain: Uint8Array): Promise<boolean>
    placeZero(position: number): void
  },
  image: SampleImage
): Promise<void> {
  for (let position = 0; position < image.chunkCount; position++) {
    if (!disk.needs(position)) continue
    if (isZero(image.chunk(position))) disk.placeZero(position)
    else await disk.place(position, image.chunk(position))
  }
}

export function noise(length: number): Buffer {
  return randomBytes(length)
}
