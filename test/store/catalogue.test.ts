import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { chunkIdOf, imageCidText, openRelease } from '../../src/image/index.ts'
import { openStore } from '../../src/store/index.ts'
import { rejectsWith, throwsWith } from '../helpers/errors.ts'
import { freshStore } from './stores.ts'

function imageNumber(number: number) {
  return {
    imageId: chunkIdOf(Buffer.from(`image ${number}`)),
    size: 5 * limits.chunkBytesDefault,
    chunkSize: limits.chunkBytesDefault,
    chunks: 5,
    zeroChunks: 1,
    distinctChunks: 3,
    storedBytes: 1000 + number
  }
}

test('an image keeps its facts; taking it in again changes nothing', async t => {
  const store = await freshStore(t)
  const image = imageNumber(1)
  await store.addImage(image, 5)
  await store.addImage({ ...image, storedBytes: 9 }, 6)
  await store.addImage(imageNumber(2), 7)
  await store.close()
  await using again = await openStore(store.directory)
  t.deepEqual(again.images(), [
    { ...image, createdMs: 5 },
    { ...imageNumber(2), createdMs: 7 }
  ])
  t.deepEqual(again.image(image.imageId), { ...image, createdMs: 5 })
})

test('a tag that moves gets a greater serial, one that stays keeps its release', async t => {
  const store = await freshStore(t)
  const one = imageNumber(1)
  const two = imageNumber(2)
  await store.addImage(one)
  await store.addImage(two)
  const name = { name: 'debian', tag: '12' }
  const first = await store.addRelease({ ...name, imageId: one.imageId }, 100)
  t.like(first, { ...name, imageId: one.imageId, serial: 1, createdMs: 100 })
  t.deepEqual(await store.addRelease({ ...name, imageId: one.imageId }, 200), first)
  const second = await store.addRelease({ ...name, imageId: two.imageId }, 300)
  t.like(second, { imageId: two.imageId, serial: 2, createdMs: 300 })
  const back = await store.addRelease({ ...name, imageId: one.imageId }, 400)
  t.is(back.serial, 3)
  t.deepEqual(store.releases(), [back])
})

test('releases are signed by the lab', async t => {
  const store = await freshStore(t)
  const { imageId } = imageNumber(1)
  await store.addImage(imageNumber(1))
  const { signed, ...release } = await store.addRelease({ name: 'a', tag: 'b', imageId }, 1)
  t.deepEqual(openRelease(store.lab.publicKey, signed), release)
  t.deepEqual(store.resolve('a:b'), { imageId, signed })
})

test('an image is found by name, by name and tag, and by CID', async t => {
  const store = await freshStore(t)
  const { imageId } = imageNumber(1)
  await store.addImage(imageNumber(1))
  await store.addRelease({ name: 'debian', tag: 'latest', imageId })
  t.is(store.resolve('debian')?.imageId, imageId)
  t.is(store.resolve('debian:latest')?.imageId, imageId)
  t.deepEqual(store.resolve(imageCidText(imageId)), { imageId })
  t.is(store.resolve('debian:12'), undefined)
  t.is(store.resolve(imageCidText(chunkIdOf(Buffer.from('other')))), undefined)
  throwsWith(t, 'ERR_NAME_INVALID', () => store.resolve('Debian!'))
})

test('a name for an image that is not here is refused', async t => {
  const store = await freshStore(t)
  const move = { name: 'a', tag: 'b', imageId: imageNumber(1).imageId }
  await rejectsWith(t, 'ERR_IMAGE_UNKNOWN', store.addRelease(move))
  t.deepEqual(store.releases(), [])
})
