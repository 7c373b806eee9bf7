import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { imageCidText } from '../image/index.ts'
import type { ImageRecord, SignedRelease, Store } from '../store/index.ts'
import { formatBytes, formatTable, formatTime } from './formats.ts'
import { imageNamed, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('show <name|cid>'))
    .description('Show what is known about an image')
    .action((nameOrCid: string, options: StoreOptions) =>
      withExistingStore(options.store, async store => {
        const record = recordNamed(store, nameOrCid)
        const releases = store.releases().filter(({ imageId }) => imageId === record.imageId)
        if (options.json === true) printEvent(showEvent(record, releases))
        else for (const line of formatTable(showRows(record, releases))) printLine(line)
      })
    )
}

function recordNamed(store: Store, nameOrCid: string): ImageRecord {
  const record = store.image(imageNamed(store, nameOrCid))
  if (record !== undefined) return record
  throw new BootswarmError('ERR_IMAGE_UNKNOWN', `the store has a name but no image ${nameOrCid}`)
}

function showEvent({ imageId, ...facts }: ImageRecord, releases: readonly SignedRelease[]) {
  return {
    event: 'image',
    cid: imageCidText(imageId),
    ...facts,
    releases: releases.map(({ name, tag, serial, createdMs }) => ({ name, tag, serial, createdMs }))
  }
}

function showRows(record: ImageRecord, releases: readonly SignedRelease[]): string[][] {
  const named = releases.map(({ name, tag, serial, createdMs }) => [
    'name',
    `${name}:${tag}, release ${serial} of ${formatTime(createdMs)}`
  ])
  return [
    ...named,
    ['cid', imageCidText(record.imageId)],
    ['size', `${formatBytes(record.size)} (${record.size} bytes)`],
    ['chunks', `${record.chunks} of ${formatBytes(record.chunkSize)}`],
    ['zero', String(record.zeroChunks)],
    ['distinct', String(record.distinctChunks)],
    ['stored', `${formatBytes(record.storedBytes)} (${record.storedBytes} bytes)`],
    ['imported', formatTime(record.createdMs)]
  ]
}
