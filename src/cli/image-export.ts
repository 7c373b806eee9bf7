import type { Command } from 'commander'
import { exportImage, imageCidText, readManifest, sourceOf } from '../image/index.ts'
import type { Store } from '../store/index.ts'
import { formatBytes } from './formats.ts'
import { imageNamed, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'
import { startProgress } from './progress.ts'
import { stopSignal } from './stop-signal.ts'

interface ExportCommand extends StoreOptions {
  readonly force?: boolean
}

export function register(image: Command): void {
  withStoreOptions(image.command('export <name|cid> <file>'))
    .description('Write an image to a file or block device, byte for byte')
    .option('--force', 'overwrite a block device whatever it holds')
    .action((nameOrCid: string, path: string, options: ExportCommand) =>
      withExistingStore(options.store, store => exportTo(store, nameOrCid, path, options))
    )
}

async function exportTo(
  store: Store,
  nameOrCid: string,
  path: string,
  { json = false, force = false }: ExportCommand
): Promise<void> {
  const imageId = imageNamed(store, nameOrCid)
  const signal = stopSignal()
  const source = sourceOf(store)
  const manifest = await readManifest(imageId, source, signal)
  // Only here: the other commands of images need nothing of it.
  const { claimForCopy } = await import('../disk/index.ts')
  const letGo = await claimForCopy(path, force)
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
    await letGo?.()
  }
  const { size } = manifest.root
  if (json) printEvent({ event: 'exported', cid: imageCidText(imageId), path, size })
  else printLine(`wrote ${nameOrCid} to ${path}: ${formatBytes(size)}`)
}
