import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { ServedImages } from '../../src/seed/images.ts'
import { mixedImage, noise } from '../helpers/image-files.ts'
import { flipByte } from '../store/damage.ts'
import { importInto, newStore } from './samples.ts'

test('a manifest is read once, and an image that comes later is found then', async t => {
  const { store } = await newStore(t)
  const images = new ServedImages(store)
  const elsewhere = await newStore(t)
  const bytes = mixedImage(limits.chunkBytesMin)
  const { imageId } = await importInto(t, elsewhere.store, bytes)
  t.is(await images.manifest(imageId), undefined)
  t.is((await importInto(t, store, bytes)).imageId, imageId)
  const manifest = await images.manifest(imageId)
  t.is(manifest?.root.size, bytes.length)
  t.deepEqual(manifest?.missingPages(), [])
  t.is(await images.manifest(imageId), manifest)
})

test('only so many manifests are kept', async t => {
  const { store } = await newStore(t)
  const images = new ServedImages(store)
  const ids: string[] = []
  for (let index = 0; index <= limits.manifestsHeldMax; index += 1) {
    ids.push((await importInto(t, store, noise(512, index + 1))).imageId)
  }
  const first = await images.manifest(ids[0] ?? '')
  for (const id of ids.slice(1)) await images.manifest(id)
  const again = await images.manifest(ids[0] ?? '')
  t.is(again?.root.imageId, first?.root.imageId)
  t.not(again, first)
})

test('a manifest that could not be read is read again when it is asked for again', async t => {
  const { store, directory } = await newStore(t)
  const images = new ServedImages(store)
  const { imageId } = await importInto(t, store, noise(512, 1))
  await store.sync()
  const pack = join(directory, 'packs/000001.pack')
  // The root is what an import writes last.
  const lastByte = (await stat(pack)).size - 1
  await flipByte(pack, lastByte)
  await t.throwsAsync(images.manifest(imageId))
  await flipByte(pack, lastByte)
  t.is((await images.manifest(imageId))?.root.imageId, imageId)
})
