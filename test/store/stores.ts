import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ExecutionContext } from 'ava'
import type { ChunkId } from '../../src/base/index.ts'
import { chunkIdOf, plainFrame } from '../../src/image/index.ts'
import { openOrCreateStore } from '../../src/store/index.ts'
import type { Store, StoreOptions } from '../../src/store/index.ts'
import { noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

/** A new store in a directory of its own; the test closes it, or leaves that to the teardown. */
export async function freshStore(t: ExecutionContext, options?: StoreOptions): Promise<Store> {
  const directory = join(await temporaryDirectory(t), 'store')
  const store = await openOrCreateStore(directory, options)
  // Closed already, in most tests that look at the files.
  t.teardown(() => store.close().catch(() => {}))
  return store
}

export async function putNoise(store: Store, seed: number, length = 1000): Promise<ChunkId> {
  const plain = noise(length, seed)
  await store.put(chunkIdOf(plain), plainFrame(plain))
  return chunkIdOf(plain)
}

export function packPath(directory: string, pack: number): string {
  return join(directory, 'packs', `${String(pack).padStart(6, '0')}.pack`)
}

/** Asks a store's index directly, as a test must that looks behind its back. */
export function query(directory: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(join(directory, 'index.sqlite'))
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}
