import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { imageCidText, readManifest, sourceOf, verifyImage } from '../image/index.ts'
import type { VerifyResult } from '../image/index.ts'
import type { Store } from '../store/index.ts'
import { formatBytes } from './formats.ts'
import { imageNamed, labelOf, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'
import { startProgress } from './progress.ts'
import { stopSignal } from './stop-signal.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('verify [name|cid...]'))
    .description('Read and hash every chunk of the images, of all if none is named')
    .action((names: string[], options: StoreOptions) =>
      withExistingStore(options.store, async store => {
        const imageIds = new Set(
          names.length > 0
            ? names.map(name => imageNamed(store, name))
            : store.images().map(({ imageId }) => imageId)
        )
        for (const imageId of imageIds) await verifyOne(store, imageId, options.json === true)
      })
    )
}

async function verifyOne(store: Store, imageId: ChunkId, json: boolean): Promise<void> {
  const label = labelOf(store, imageId)
  const { distinctChunks, bytes } = await verified(store, imageId, label, json)
  if (json) {
    printEvent({ event: 'verified', cid: imageCidText(imageId), distinctChunks, bytes })
    return
  }
  printLine(`${label} verified: ${distinctChunks} chunks, ${formatBytes(bytes)}`)
}

async function verified(
  store: Store,
  imageId: ChunkId,
  label: string,
  json: boolean
): Promise<VerifyResult> {
  const progress = startProgress(`verifying ${label}`, json)
  const signal = stopSignal()
  try {
    const source = sourceOf(store)
    const manifest = await readManifest(imageId, source, signal)
    return await verifyImage({
      manifest,
      source,
      signal,
      onProgress: ({ bytesDone, size }) => progress.update(bytesDone, size)
    })
  } catch (error) {
    if (!(error instanceof BootswarmError)) throw error
    throw new BootswarmError(error.code, `image ${label}: ${error.message}`, { cause: error })
  } finally {
    progress.end()
  }
}
