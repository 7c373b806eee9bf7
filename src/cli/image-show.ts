import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { imageCidText, readManifest, sourceOf } from '../image/index.ts'
import { knownProfile } from '../store/index.ts'
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
        const boots = await bootsOf(store, record)
        if (options.json === true) printEvent(showEvent(record, releases, boots))
        else for (const line of formatTable(showRows(record, releases, boots))) printLine(line)
      })
    )
}

/** What is known about boots of the image; undefined when nothing is. */
interface Boots {
  readonly reports: number
  readonly chunks: number
  /** Plain bytes of those chunks. */
  readonly bytes: number
  /** CID of the earlier image that was booted, when this one was not yet. */
  readonly carriedFrom?: string
}

async function bootsOf(store: Store, { imageId }: ImageRecord): Promise<Boots | undefined> {
  const manifest = await readManifest(imageId, sourceOf(store))
  const profile = knownProfile(store, manifest)
  if (profile === undefined) return undefined
  const { reports, steps, carriedFrom } = profile
  const bytes = steps.reduce((sum, { position }) => sum + manifest.chunkLength(position), 0)
  const known = { reports, chunks: steps.length, bytes }
  return carriedFrom === undefined ? known : { ...known, carriedFrom: imageCidText(carriedFrom) }
}

function bootRow({ reports, chunks, bytes, carriedFrom }: Boots): string[] {
  const of = carriedFrom === undefined ? '' : ` of the image before it, ${carriedFrom}`
  return ['boot', `${chunks} chunks (${formatBytes(bytes)}) by ${reports} reported boots${of}`]
}

function recordNamed(store: Store, nameOrCid: string): ImageRecord {
  const record = store.image(imageNamed(store, nameOrCid))
  if (record !== undefined) return record
  throw new BootswarmError('ERR_IMAGE_UNKNOWN', `the store has a name but no image ${nameOrCid}`)
}

function showEvent(
  { imageId, ...facts }: ImageRecord,
  releases: readonly SignedRelease[],
  boots: Boots | undefined
) {
  return {
    event: 'image',
    cid: imageCidText(imageId),
    ...facts,
    releases: releases.map(({ name, tag, serial, createdMs }) => ({
      name,
      tag,
      serial,
      createdMs
    })),
    ...(boots && { boots })
  }
}

function showRows(
  record: ImageRecord,
  releases: readonly SignedRelease[],
  boots: Boots | undefined
): string[][] {
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
    ['imported', formatTime(record.createdMs)],
    ...(boots === undefined ? [] : [bootRow(boots)])
  ]
}
