import {
  importImage,
  type ImageName,
  type ImportOptions,
  type ImportResult
} from '../image/index.ts'
import type { SignedRelease } from './catalogue.ts'
import type { Store } from './store.ts'

export interface Imported {
  readonly result: ImportResult
  readonly release: SignedRelease
}

/**
 * Takes an image file into a store under a name; nobody throws its chunks away meanwhile. Rejects as
 * importImage and `Store.adding` do.
 */
export function importNamed(
  store: Store,
  name: ImageName,
  options: Omit<ImportOptions, 'store'>
): Promise<Imported> {
  return store.adding(async () => {
    const result = await importImage({ ...options, store })
    await store.addImage(result)
    return { result, release: await store.addRelease({ ...name, imageId: result.imageId }) }
  })
}
