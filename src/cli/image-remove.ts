import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { idOfCidText, imageCidText, parseImageName } from '../image/index.ts'
import type { Store } from '../store/index.ts'
import { imageNamed, namesOf, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('remove <name|cid...>'))
    .description('Forget names, and the images that have no other name; gc gives their space back')
    .action((names: string[], options: StoreOptions) =>
      withExistingStore(options.store, store => {
        // All of them before the first is removed: a slip of the pen removes nothing.
        const distinct = new Map(names.map(name => [checkedKey(store, name), name]))
        for (const name of distinct.values()) remove(store, name, options.json === true)
      })
    )
}

/** What a name or CID stands for, told apart from the others given. Throws for what cannot be removed. */
function checkedKey(store: Store, nameOrCid: string): string {
  const imageId = imageNamed(store, nameOrCid)
  if (idOfCidText(nameOrCid) === undefined) {
    const { name, tag } = parseImageName(nameOrCid)
    return `${name}:${tag}`
  }
  const [named] = namesOf(store, imageId)
  if (named === undefined) return nameOrCid
  throw new BootswarmError(
    'ERR_IMAGE_NAMED',
    `image ${nameOrCid} has a name; remove it by its names, such as ${named}; nothing was removed`
  )
}

function remove(store: Store, nameOrCid: string, json: boolean): void {
  const imageId = imageNamed(store, nameOrCid)
  const cid = imageCidText(imageId)
  const imageRemoved = removed(store, nameOrCid)
  if (json) {
    printEvent({ event: 'removed', name: nameOrCid, cid, imageRemoved })
    return
  }
  printLine(
    imageRemoved
      ? `removed ${nameOrCid}, image ${cid}; 'bootswarm image gc' gives its space back`
      : `removed ${nameOrCid}; its image ${cid} has other names`
  )
}

function removed(store: Store, nameOrCid: string): boolean {
  const imageId = idOfCidText(nameOrCid)
  if (imageId === undefined) {
    const { name, tag } = parseImageName(nameOrCid)
    return store.removeRelease(name, tag)
  }
  store.removeImage(imageId)
  return true
}
