import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { importImage, type ImportResult } from '../../src/image/index.ts'
import type { Store } from '../../src/store/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { freshStore } from '../store/stores.ts'

/** An empty store, closed and gone after the test. */
export async function newStore(t: ExecutionContext): Promise<{ directory: string; store: Store }> {
  const store = await freshStore(t)
  return { directory: store.directory, store }
}

export async function importInto(
  t: ExecutionContext,
  store: Store,
  bytes: Uint8Array
): Promise<ImportResult> {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, bytes)
  const image = await importImage({ path, chunkSize: limits.chunkBytesMin, store })
  await store.addImage(image)
  return image
}
