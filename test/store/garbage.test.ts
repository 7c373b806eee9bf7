import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { importImage, readManifest, sourceOf, verifyImage } from '../../src/image/index.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/index.ts'
import { rejectsWith, throwsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { freshStore, packPath, putNoise, query } from './stores.ts'

const chunkSize = 16 * 1024

/** An image of chunks of noise, one a number: equal numbers are equal chunks. */
async function addImage(t: ExecutionContext, store: Store, name: string, seeds: number[]) {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, Buffer.concat(seeds.map(seed => noise(chunkSize, seed))))
  return store.adding(async () => {
    const image = await importImage({ path, chunkSize, store })
    await store.addImage(image)
    await store.addRelease({ name, tag: 'latest', imageId: image.imageId })
    return image.imageId
  })
}

async function isWhole(store: Store, imageId: string): Promise<boolean> {
  const source = sourceOf(store)
  const manifest = await readManifest(imageId, source)
  const { distinctChunks } = await verifyImage({ manifest, source })
  return distinctChunks > 0
}

async function twoImages(t: ExecutionContext, options?: StoreOptions) {
  const store = await freshStore(t, options)
  const old = await addImage(t, store, 'old', [1, 2, 3, 4, 5, 6])
  const now = await addImage(t, store, 'new', [4, 5, 6, 7])
  return { store, old, now }
}

test('what only a removed image had is thrown away, what another shares stays', async t => {
  const { store: writer, old, now } = await twoImages(t)
  // A pack that somebody appends to is left alone.
  await writer.close()
  const store = await openStore(writer.directory)
  t.teardown(() => store.close().catch(() => {}))
  const blocksBefore = (await stat(packPath(store.directory, 1))).blocks
  t.like(await store.collectGarbage({}), { chunks: 0, bytes: 0 })
  t.true(store.removeRelease('old', 'latest'))

  // Three chunks of noise, a manifest page and a root.
  const counted = await store.collectGarbage({ dryRun: true })
  t.is(counted.chunks, 5)
  t.true(counted.bytes > 3 * chunkSize)
  t.true(await isWhole(store, now))
  t.deepEqual(await store.collectGarbage({}), counted)
  t.like(await store.collectGarbage({}), { chunks: 0 })

  t.true(await isWhole(store, now))
  t.false(store.has(old))
  t.is(await store.get(old), undefined)
  t.true((await stat(packPath(store.directory, 1))).blocks < blocksBefore)
  await store.close()
  await using again = await openStore(store.directory)
  t.true(await isWhole(again, now))
})

test('an image that has another name stays, and one without a name too until it is removed', async t => {
  const { store, old } = await twoImages(t)
  await store.addRelease({ name: 'again', tag: 'latest', imageId: old })
  t.false(store.removeRelease('old', 'latest'))
  throwsWith(t, 'ERR_IMAGE_NAMED', () => store.removeImage(old))
  await addImage(t, store, 'again', [8])
  t.like(await store.collectGarbage({}), { chunks: 0 })
  t.true(await isWhole(store, old))
  store.removeImage(old)
  t.is((await store.collectGarbage({})).chunks, 5)
  throwsWith(t, 'ERR_IMAGE_UNKNOWN', () => store.removeImage(old))
  throwsWith(t, 'ERR_IMAGE_UNKNOWN', () => store.removeRelease('old', 'latest'))
})

test('a name that comes back is newer than it ever was', async t => {
  const { store, now } = await twoImages(t)
  await addImage(t, store, 'old', [9])
  t.is((await store.addRelease({ name: 'old', tag: 'latest', imageId: now })).serial, 3)
  store.removeRelease('old', 'latest')
  t.is((await store.addRelease({ name: 'old', tag: 'latest', imageId: now })).serial, 4)
})

test('nothing is thrown away while somebody adds an image, nor if an image is not whole', async t => {
  const { store } = await twoImages(t)
  store.removeRelease('old', 'latest')
  await using other = await openStore(store.directory)
  await other.adding(async () => {
    await rejectsWith(t, 'ERR_STORE_BUSY', store.collectGarbage({}))
    // Two may add at once.
    await store.adding(() => Promise.resolve())
  })
  const before = query(store.directory, 'SELECT * FROM chunks').length
  const page = await addImage(t, store, 'broken', [10, 11])
  const index = Buffer.from(page, 'hex').toString('hex')
  query(store.directory, `DELETE FROM chunks WHERE digest = x'${index}'`)
  await rejectsWith(t, 'ERR_CHUNK_MISSING', store.collectGarbage({}))
  t.true(query(store.directory, 'SELECT * FROM chunks').length > before)
})

test('whoever reads meanwhile is told that the chunk is gone, or finds it at its new place', async t => {
  const { store, old, now } = await twoImages(t)
  await store.sync()
  await using reader = await openStore(store.directory)
  t.true(await isWhole(reader, old))
  store.removeRelease('old', 'latest')
  store.removeRelease('new', 'latest')
  await store.close()
  await using cleaner = await openStore(store.directory)
  await cleaner.collectGarbage({})
  // Its only pack is gone, and its number is another's now.
  const again = await addImage(t, cleaner, 'again', [4, 1])
  t.is(query(cleaner.directory, 'SELECT number FROM packs').length, 1)
  t.is(await reader.get(old), undefined)
  t.is(await reader.get(now), undefined)
  t.true(await isWhole(reader, again))
})

test('after any images come and go, those that stay are whole', async t => {
  const store = await freshStore(t, { packBytesMax: 6 * chunkSize })
  const here = new Map<string, string>()
  for (let round = 0; round < 12; round++) {
    const seeds = Array.from(
      { length: 1 + (round % 5) },
      (_, index) => (round * 7 + index * 3) % 11
    )
    here.set(`image-${round}`, await addImage(t, store, `image-${round}`, seeds))
    if (round % 3 === 2) {
      const name = `image-${(round * 5) % (round + 1)}`
      if (here.delete(name)) store.removeRelease(name, 'latest')
      await store.collectGarbage({})
    }
    for (const imageId of here.values()) t.true(await isWhole(store, imageId))
  }
  await putNoise(store, 99)
  await store.sync()
  t.is((await store.collectGarbage({})).chunks, 1)
})
