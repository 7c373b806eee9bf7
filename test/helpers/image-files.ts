import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { importImage } from '../../src/image/index.ts'
import type { ImportResult } from '../../src/image/index.ts'
import { MemoryStore } from './memory-store.ts'

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let index = 0; index < length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = state & 0xff
  }
  return bytes
}

/** A small image of all sorts: noise, text, zeros, a repeated chunk and a short end. */
export function mixedImage(chunkSize: number): Buffer {
  const text = Buffer.alloc(chunkSize, 'all machines share the load. ')
  const first = noise(chunkSize, 1)
  return Buffer.concat([
    first,
    text,
    Buffer.alloc(2 * chunkSize),
    first,
    noise(chunkSize, 2),
    Buffer.alloc(chunkSize),
    noise(1536, 3)
  ])
}

export async function importBytes(
  path: string,
  bytes: Uint8Array,
  chunkSize: number
): Promise<{ result: ImportResult; store: MemoryStore }> {
  await writeFile(path, bytes)
  const store = new MemoryStore()
  return { result: await importImage({ path, chunkSize, store }), store }
}

export async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}

/** As `noise`, but fast enough for hundreds of megabytes: the key stream of AES in counter mode. */
export function bulkNoise(length: number, seed: number): Buffer {
  const key = Buffer.alloc(16)
  key.writeUInt32LE(seed)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}
