import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { buildDemoImage } from '../../src/demo/index.ts'
import { bulkNoise } from '../helpers/image-files.ts'

export const MiB = 1024 * 1024
export const chunkBytes = 128 * 1024

/** A real ext4 of real files, made by mke2fs: what a lab's image looks like. */
export async function ext4Image(directory: string, sizeBytes = 48 * MiB) {
  const path = `${directory}/ext4.img`
  await buildDemoImage({ path, workDir: directory, sizeBytes })
  return { path, bytes: await readFile(path) }
}

/** `stored` MiB that do not compress, then zeros, then the first chunk again, and a short end. */
export async function noiseImage(path: string, stored: number) {
  const noise = bulkNoise(stored * MiB, randomBytes(4).readUInt32LE())
  const zeros = Buffer.alloc(4 * MiB)
  const bytes = Buffer.concat([noise, zeros, noise.subarray(0, chunkBytes), noise.subarray(0, 512)])
  await writeFile(path, bytes)
  return { path, bytes }
}
