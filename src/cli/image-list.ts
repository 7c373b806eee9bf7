import type { Command } from 'commander'
import { imageCidText } from '../image/index.ts'
import type { ImageRecord, Store } from '../store/index.ts'
import { formatBytes, formatTable, formatTime } from './formats.ts'
import { namesOf, withExistingStore, withStoreOptions } from './image-store.ts'
import type { StoreOptions } from './image-store.ts'
import { printEvent, printLine } from './output.ts'

export function register(image: Command): void {
  withStoreOptions(image.command('list'))
    .description('List the images of the store')
    .action((options: StoreOptions) =>
      withExistingStore(options.store, async store => {
        const images = store.images()
        if (options.json === true) printEvent(listEvent(store, images))
        else for (const line of formatTable(listRows(store, images))) printLine(line)
      })
    )
}

function listEvent(store: Store, images: readonly ImageRecord[]) {
  return {
    event: 'images',
    images: images.map(({ imageId, ...facts }) => ({
      cid: imageCidText(imageId),
      names: namesOf(store, imageId),
      ...facts
    }))
  }
}

/** One row a name, and one for an image that no name points to any more. */
function listRows(store: Store, images: readonly ImageRecord[]): string[][] {
  const rows = images.flatMap(image => {
    const names = namesOf(store, image.imageId)
    return (names.length > 0 ? names : ['-']).map(name => [
      name,
      formatBytes(image.size),
      formatBytes(image.storedBytes),
      formatTime(image.createdMs),
      imageCidText(image.imageId)
    ])
  })
  return [['NAME', 'SIZE', 'STORED', 'IMPORTED', 'CID'], ...rows]
}
