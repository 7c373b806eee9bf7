import type { Command } from 'commander'
import { exportImage, imageCidText, readManifest, sourceOf } from '../image/index.ts'
import type { Store } from '../store/index.ts'
import { formatBytes } from './formats.ts'
import { imageNamed, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'
import { startProgress } from './progress.ts'
import { stopSignal } from './stop-signal.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('export <name|cid> <file>'))
    .description('Write an image to a file or block device, byte for byte')
    .action((nameOrCid: string, path: string, options: StoreOptions) =>
      withExistingStore(options.store, store =>
        exportTo(store, nameOrCid, path, options.json === true)
      )
    )
}

async function exportTo(
  store: Store,
  nameOrCid: string,
  path: string,
  json: boolean
): Promise<void> {
  const imageId = imageNamed(store, nameOrCid)
  const signal = stopSignal()
  const source = sourceOf(store)
  const manifest = await readManifest(imageId, source, signal)
  const progress = startProgress('exporting', json)
  try {
    await exportImage({
      manifest,
      source,
      path,
      signal,
      onProgress: ({ bytesDone, size }) => progress.update(bytesDone, size)
    })
  } finally {
    progress.end()
  }
  const { size } = manifest.root
  if (json) printEvent({ event: 'exported', cid: imageCidText(imageId), path, size })
  else printLine(`wrote ${nameOrCid} to ${path}: ${formatBytes(size)}`)
}
