import { createHash } from 'node:crypto'
import type { Superblock } from './format.ts'
import { pageBytes } from './pages.ts'
import type { Storage } from './storage.ts'
import type { HeldFile } from './target-files.ts'

/** Here partition tables and file systems keep what is different on each machine that uses them. */
const startBytes = 2 * 1024 * 1024
const spreadPages = 64

/**
 * What tells that a target is as it was left: a number that is another one when it is not; 0 when it
 * cannot be told. Of a file that is its ctime in ns, which nobody can set back. A device has no such
 * time: of it the start is hashed, and pages at places that only its metadata knows.
 */
export async function targetMarkOf(
  { kind, handle, storage }: Pick<HeldFile, 'kind' | 'handle' | 'storage'>,
  { image, instance }: Pick<Superblock, 'image' | 'instance'>
): Promise<bigint> {
  if (kind === 'file') return (await handle.stat({ bigint: true })).ctimeNs
  try {
    return await hashOfSome(storage, image.size, instance)
  } catch {
    // What cannot be read is found by the verification, which can mend it.
    return 0n
  }
}

async function hashOfSome(storage: Storage, size: number, instance: Uint8Array): Promise<bigint> {
  const hash = createHash('sha256')
  hash.update(await storage.read(0, Math.min(startBytes, size)))
  const pages = Math.floor(size / pageBytes)
  const spread = Array.from({ length: pages === 0 ? 0 : spreadPages }, (_, n) =>
    storage.read((numberOf(instance, n) % pages) * pageBytes, pageBytes)
  )
  for (const page of await Promise.all(spread)) hash.update(page)
  const mark = hash.digest().readBigUInt64BE()
  return mark === 0n ? 1n : mark
}

/** Any from 0 to 2^48, the same for the same metadata. */
function numberOf(instance: Uint8Array, n: number): number {
  return createHash('sha256').update(instance).update(String(n)).digest().readUIntBE(0, 6)
}
