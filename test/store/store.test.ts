import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { chunkIdOf, plainFrame, zeroId } from '../../src/image/index.ts'
import { openStore } from '../../src/store/index.ts'
import { chunkStoreSuite } from '../conformance/chunk-store.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'
import { flipByte } from './damage.ts'
import { freshStore, packPath, putNoise, query } from './stores.ts'

chunkStoreSuite(test, t => freshStore(t))

test('what was put is there after closing and opening', async t => {
  const store = await freshStore(t)
  const ids = [await putNoise(store, 1), await putNoise(store, 2, 300_000)]
  await store.close()
  await using again = await openStore(store.directory)
  for (const id of ids) t.is(chunkIdOf((await again.get(id))?.bytes ?? Buffer.alloc(0)), id)
})

test('a chunk is readable before it is synced, and in the index only afterwards', async t => {
  const store = await freshStore(t, { unsyncedMs: 60_000 })
  const id = await putNoise(store, 1)
  t.true(store.has(id))
  t.not(await store.get(id), undefined)
  t.is(query(store.directory, 'SELECT * FROM chunks').length, 0)
  await store.sync()
  t.is(query(store.directory, 'SELECT * FROM chunks').length, 1)
})

test('another open store sees chunks and releases as soon as they are synced', async t => {
  const writer = await freshStore(t)
  await using reader = await openStore(writer.directory)
  const id = await putNoise(writer, 1)
  await writer.sync()
  t.true(reader.has(id))
  t.is(chunkIdOf((await reader.get(id))?.bytes ?? Buffer.alloc(0)), id)
  const image = imageOf(id)
  await writer.addImage(image)
  await writer.addRelease({ name: 'a', tag: 'b', imageId: id })
  t.is(reader.resolve('a:b')?.imageId, id)
})

test('a chunk is synced by itself after a while', async t => {
  const store = await freshStore(t, { unsyncedMs: 1 })
  await using reader = await openStore(store.directory)
  const id = await putNoise(store, 1)
  while (!reader.has(id)) await once(AbortSignal.timeout(5), 'abort')
  t.true(reader.has(id))
})

test('packs roll over, and all chunks stay readable', async t => {
  const store = await freshStore(t, { packBytesMax: 20_000, unsyncedBytesMax: 7_000 })
  const seeds = Array.from({ length: 100 }, (_, seed) => seed)
  const ids = await Promise.all(seeds.map(seed => putNoise(store, seed)))
  t.true((await readdir(join(store.directory, 'packs'))).length > 4)
  for (const id of ids) t.not(await store.get(id), undefined)
  await store.close()
  await using again = await openStore(store.directory)
  for (const id of ids) t.not(await again.get(id), undefined)
})

test('two stores on one directory write at the same time, each to packs of its own', async t => {
  const one = await freshStore(t, { packBytesMax: 30_000 })
  await using two = await openStore(one.directory, { packBytesMax: 30_000 })
  const seeds = Array.from({ length: 100 }, (_, seed) => seed)
  const ids = await Promise.all(
    seeds.flatMap(seed => [putNoise(one, seed), putNoise(two, seed), putNoise(two, seed + 1000)])
  )
  await Promise.all([one.sync(), two.sync()])
  for (const store of [one, two]) for (const id of ids) t.not(await store.get(id), undefined)
  t.is(query(one.directory, 'SELECT * FROM chunks').length, 200)
})

test('a damaged byte is found when its chunk is read, and only then', async t => {
  const store = await freshStore(t)
  const first = await putNoise(store, 1)
  const second = await putNoise(store, 2)
  await store.close()
  const path = packPath(store.directory, 1)
  await flipByte(path, 16 + 48 + 500)
  await using again = await openStore(store.directory)
  const error = await rejectsWith(t, 'ERR_STORE_CORRUPT', again.get(first))
  t.true(error.message.includes(path) && error.message.includes(first))
  t.not(await again.get(second), undefined)
})

test('what cannot be a chunk is not stored', async t => {
  const store = await freshStore(t)
  await rejectsWith(t, 'ERR_INTERNAL', store.put(zeroId, plainFrame(Buffer.alloc(512))))
  const long = Buffer.alloc(limits.chunkBytesMax + 128 * 1024)
  await rejectsWith(t, 'ERR_INTERNAL', store.put(chunkIdOf(long), plainFrame(long)))
})

test('secrets are files that only the owner may read', async t => {
  const store = await freshStore(t)
  t.is(await store.readSecret('identity'), undefined)
  await store.writeSecret('identity', noise(68, 1))
  await store.writeSecret('identity', noise(32, 2))
  t.deepEqual(await store.readSecret('identity'), new Uint8Array(noise(32, 2)))
  for (const name of ['identity', 'lab.key', 'enrol.secret']) {
    t.is((await stat(join(store.directory, name))).mode & 0o777, 0o600, name)
  }
})

test('reading many chunks at once keeps every frame apart', async t => {
  const store = await freshStore(t)
  const ids = await Promise.all(
    Array.from({ length: 50 }, (_, seed) => putNoise(store, seed, 4000))
  )
  const frames = await Promise.all([...ids, ...ids].map(id => store.get(id)))
  frames.forEach((frame, index) => {
    t.is(chunkIdOf(frame?.bytes ?? Buffer.alloc(0)), ids[index % ids.length] ?? '')
  })
})

function imageOf(imageId: string) {
  return {
    imageId,
    size: 512,
    chunkSize: limits.chunkBytesMin,
    chunks: 1,
    zeroChunks: 0,
    distinctChunks: 1,
    storedBytes: 1000
  }
}
