import type { Command } from 'commander'
import { BootswarmError, limits } from '../base/index.ts'
import { checkImageFile, imageCidText, isChunkSize, parseImageName } from '../image/index.ts'
import type { ImageName } from '../image/index.ts'
import { importNamed, openOrCreateStore } from '../store/index.ts'
import type { Imported, Store } from '../store/index.ts'
import { formatBytes, formatDuration, parseBytes } from './formats.ts'
import { withStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'
import { startProgress } from './progress.ts'
import { stopSignal } from './stop-signal.ts'

interface ImportCommand extends StoreOptions {
  readonly name: string
  readonly chunkSize?: string
}

export function register(image: Command): void {
  withStoreOptions(image.command('import <file>'))
    .description('Take a raw disk image into the store; the last line printed is its CID')
    .requiredOption('--name <name[:tag]>', "what to call it; the tag is 'latest' if not given")
    .option('--chunk-size <bytes>', 'a power of two from 16K to 4M; K is 1024 (default: 128K)')
    .action(async (file: string, options: ImportCommand) => {
      const name = parseImageName(options.name)
      const chunkSize = chunkSizeOf(options.chunkSize)
      // Before a store is made for it: a slip of the pen leaves nothing behind.
      await checkImageFile(file)
      const startMs = performance.now()
      const imported = await withStore(openOrCreateStore(options.store), store =>
        importInto(store, file, name, chunkSize, options.json === true)
      )
      print(file, imported, performance.now() - startMs, options.json === true)
    })
}

function chunkSizeOf(text: string | undefined): number {
  if (text === undefined) return limits.chunkBytesDefault
  const bytes = parseBytes('--chunk-size', text)
  if (isChunkSize(bytes)) return bytes
  throw new BootswarmError(
    'ERR_USAGE',
    `--chunk-size ${text} is not a power of two from ${limits.chunkBytesMin} to ${limits.chunkBytesMax}`
  )
}

async function importInto(
  store: Store,
  path: string,
  name: ImageName,
  chunkSize: number,
  json: boolean
): Promise<Imported> {
  const progress = startProgress('importing', json)
  try {
    return await importNamed(store, name, {
      path,
      chunkSize,
      signal: stopSignal(),
      onProgress: ({ bytesDone, size }) => progress.update(bytesDone, size)
    })
  } finally {
    progress.end()
  }
}

function print(file: string, { result, release }: Imported, ms: number, json: boolean): void {
  const { imageId, ...counts } = result
  const { name, tag, serial } = release
  const cid = imageCidText(imageId)
  if (json) {
    printEvent({ event: 'imported', cid, name, tag, serial, ...counts, seconds: ms / 1000 })
    return
  }
  printLine(`imported ${file} as ${name}:${tag} in ${formatDuration(ms)}`)
  printLine(
    `${formatBytes(counts.size)} in ${counts.chunks} chunks of ${formatBytes(counts.chunkSize)}: ` +
      `${counts.zeroChunks} zero, ${counts.distinctChunks} distinct`
  )
  printLine(
    `${formatBytes(counts.storedBytes)} stored, ${formatBytes(counts.newBytes)} of them new`
  )
  printLine(cid)
}
