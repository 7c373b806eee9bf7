import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { imageCidText } from '../image/index.ts'
import { openStore } from '../store/index.ts'
import type { Store } from '../store/index.ts'
import { storeOption } from './store-option.ts'

export interface StoreOptions {
  readonly store: string
  readonly json?: boolean
}

/** The options that every command about a store has. */
export function withStoreOptions(command: Command): Command {
  return command
    .addOption(storeOption('the store'))
    .option('--json', 'print one JSON object a line')
}

/** Runs `work` on an open store and closes it, whatever happens. */
export async function withStore<Result>(
  opening: Promise<Store>,
  work: (store: Store) => Promise<Result> | Result
): Promise<Result> {
  await using store = await opening
  return await work(store)
}

export function withExistingStore<Result>(
  directory: string,
  work: (store: Store) => Promise<Result> | Result
): Promise<Result> {
  return withStore(openStore(directory), work)
}

/** The image that a user named; ERR_IMAGE_UNKNOWN, ERR_NAME_INVALID. */
export function imageNamed(store: Store, nameOrCid: string): ChunkId {
  const found = store.resolve(nameOrCid)
  if (found !== undefined) return found.imageId
  throw new BootswarmError(
    'ERR_IMAGE_UNKNOWN',
    `the store ${store.directory} has no image ${nameOrCid}; 'bootswarm image list' shows what it has`
  )
}

/** `name:tag` of every release of an image. */
export function namesOf(store: Store, imageId: ChunkId): string[] {
  return store
    .releases()
    .filter(release => release.imageId === imageId)
    .map(({ name, tag }) => `${name}:${tag}`)
}

/** What to call an image in a message: its first name, else its CID. */
export function labelOf(store: Store, imageId: ChunkId): string {
  return namesOf(store, imageId)[0] ?? imageCidText(imageId)
}
