import type { Command } from 'commander'
import { diffManifests, imageCidText, readManifest, sourceOf } from '../image/index.ts'
import type { Store } from '../store/index.ts'
import { formatBytes, formatTable } from './formats.ts'
import { imageNamed, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine, printNote } from './output.ts'
import { stopSignal } from './stop-signal.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('diff <from> <to>'))
    .description('Show what a disk that holds one image has to fetch for another')
    .action((from: string, to: string, options: StoreOptions) =>
      withExistingStore(options.store, async store => {
        const facts = await compare(store, from, to)
        if (options.json === true) printEvent({ event: 'diff', ...facts })
        else printFacts(facts)
      })
    )
}

async function compare(store: Store, fromName: string, toName: string) {
  const ids = { from: imageNamed(store, fromName), to: imageNamed(store, toName) }
  const signal = stopSignal()
  const source = sourceOf(store)
  const from = await readManifest(ids.from, source, signal)
  const to = await readManifest(ids.to, source, signal)
  const { changed, zeroed, moved, added } = diffManifests(from, to)
  return {
    from: imageCidText(ids.from),
    to: imageCidText(ids.to),
    chunkSizes: [from.root.chunkSize, to.root.chunkSize] as const,
    chunks: to.root.chunkCount,
    changed,
    zeroed,
    moved,
    added: added.size,
    /** As they are stored and sent. */
    addedBytes: [...added].reduce((sum, id) => sum + (store.frameBytes(id) ?? 0), 0)
  }
}

function printFacts(facts: Awaited<ReturnType<typeof compare>>): void {
  const [before, after] = facts.chunkSizes
  if (before !== after) {
    printNote(
      `the images have chunks of ${formatBytes(before)} and ${formatBytes(after)}: ` +
        'import both with the same --chunk-size, and they share what is alike'
    )
  }
  const rows = [
    ['chunks', String(facts.chunks)],
    ['changed', String(facts.changed)],
    ['of them now zero', String(facts.zeroed)],
    ['of them moved', String(facts.moved)],
    ['to fetch', `${facts.added}, ${formatBytes(facts.addedBytes)} (${facts.addedBytes} bytes)`]
  ]
  for (const line of formatTable(rows)) printLine(line)
}
