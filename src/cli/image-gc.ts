import type { Command } from 'commander'
import { withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { formatBytes } from './formats.ts'
import { printEvent, printLine } from './output.ts'
import { stopSignal } from './stop-signal.ts'

interface GcCommand extends StoreOptions {
  readonly dryRun?: boolean
}

export function register(image: Command): void {
  withStoreOptions(image.command('gc'))
    .description('Throw away the chunks that no image needs')
    .option('--dry-run', 'only say what would be thrown away')
    .action(({ dryRun = false, json = false, store: directory }: GcCommand) =>
      withExistingStore(directory, async store => {
        const collected = await store.collectGarbage({ dryRun, signal: stopSignal() })
        if (json) printEvent({ event: 'collected', dryRun, ...collected })
        else for (const line of told(collected, dryRun)) printLine(line)
      })
    )
}

function told(
  { chunks, bytes, bytesKept }: { chunks: number; bytes: number; bytesKept: number },
  dryRun: boolean
): string[] {
  if (chunks === 0) return ['every chunk of the store is needed']
  const what = `${chunks} chunks, ${formatBytes(bytes)}`
  if (dryRun) return [`no image needs ${what}`]
  if (bytesKept === 0) return [`threw away ${what}`]
  return [
    `threw away ${what}; the file system takes nothing back from the middle of a file, ` +
      `so ${formatBytes(bytesKept)} stay used`
  ]
}
