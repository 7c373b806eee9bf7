import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { sourceOf } from '../../src/image/chunk-source.ts'
import { chunkIdOf, zeroId } from '../../src/image/ids.ts'
import { importImage } from '../../src/image/import.ts'
import { readManifest } from '../../src/image/manifest.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { importBytes, mixedImage, noise } from '../helpers/image-files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const KiB = 1024
const chunkSize = limits.chunkBytesMin

test('an import cuts, names and counts', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const bytes = mixedImage(chunkSize)
  const { result, store } = await importBytes(path, bytes, chunkSize)
  t.like(result, { size: bytes.length, chunkSize, chunks: 8, zeroChunks: 3, distinctChunks: 4 })
  const manifest = await readManifest(result.imageId, sourceOf(store))
  for (let position = 0; position < 8; position++) {
    const chunk = bytes.subarray(position * chunkSize, (position + 1) * chunkSize)
    const expected = chunk.every(byte => byte === 0) ? zeroId : chunkIdOf(chunk)
    t.is(manifest.chunkIdAt(position), expected)
    t.is(manifest.chunkLength(position), chunk.length)
  }
  const { root } = manifest
  const blocks = new Set([root.imageId, ...root.pageIds])
  const frames = [...store.frames].filter(([id]) => !blocks.has(id))
  t.is(frames.length, 4)
  const frameBytes = frames.reduce((sum, [, frame]) => sum + frame.bytes.length, 0)
  t.is(result.storedBytes, frameBytes)
  t.is(result.newBytes, frameBytes)
  t.false(store.has(zeroId))
})

test('each chunk size gives an image that reads back whole', async t => {
  const directory = await temporaryDirectory(t)
  const bytes = Buffer.concat([mixedImage(128 * KiB), noise(3 * 1024 * KiB, 9), Buffer.alloc(512)])
  for (let size = limits.chunkBytesMin; size <= limits.chunkBytesMax; size *= 4) {
    const { result, store } = await importBytes(join(directory, `${size}`), bytes, size)
    const source = sourceOf(store)
    const manifest = await readManifest(result.imageId, source)
    const read = Buffer.alloc(bytes.length)
    for (const { id } of manifest.distinctChunks()) {
      const plain = await source.fetch(id)
      for (const position of manifest.positionsOf(id)) read.set(plain, position * size)
    }
    t.true(read.equals(bytes), `chunks of ${size}`)
  }
})

test('the same bytes are the same image, stored once', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const { result, store } = await importBytes(path, mixedImage(chunkSize), chunkSize)
  const frames = store.frames.size
  const again = await importImage({ path, chunkSize, store })
  t.deepEqual(again, { ...result, newBytes: 0 })
  t.is(store.frames.size, frames)
})

test('an image of zeros alone has no chunks to store', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const { result, store } = await importBytes(path, Buffer.alloc(5 * chunkSize), chunkSize)
  t.like(result, { chunks: 5, zeroChunks: 5, distinctChunks: 0, storedBytes: 0 })
  t.is(store.frames.size, 2)
})

test('progress grows to the whole size, holes included', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const handle = await open(path, 'w')
  await handle.truncate(40 * chunkSize)
  await handle.write(noise(chunkSize, 1), 0, chunkSize, 10 * chunkSize)
  await handle.close()
  const seen: number[] = []
  await importImage({
    path,
    chunkSize,
    store: new MemoryStore(),
    onProgress: ({ bytesDone, size }) => {
      t.is(size, 40 * chunkSize)
      seen.push(bytesDone)
    }
  })
  t.is(seen.at(-1), 40 * chunkSize)
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b)
  )
  t.true(seen.length < 10, 'holes are not walked through')
})

test('an import stops when told to, and names no image', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, noise(200 * chunkSize, 5))
  const store = new MemoryStore()
  const controller = new AbortController()
  const importing = importImage({
    path,
    chunkSize,
    store,
    signal: controller.signal,
    onProgress: () => controller.abort()
  })
  await rejectsWith(t, 'ERR_STOPPED', importing)
  const held = store.frames.size
  t.true(held < 200)
  const result = await importImage({ path, chunkSize, store })
  t.is(result.distinctChunks, 200)
  t.true(result.newBytes < result.storedBytes, 'what was stored before the stop is used')
})

test('a file that changes during the import gives no image', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, noise(100 * chunkSize, 5))
  const writer = await open(path, 'r+')
  const importing = importImage({
    path,
    chunkSize,
    store: new MemoryStore(),
    onProgress: ({ bytesDone }) => {
      if (bytesDone === chunkSize) void writer.truncate(98 * chunkSize)
    }
  })
  await rejectsWith(t, 'ERR_IMAGE_CHANGED', importing)
  await writer.close()
})

test('a store that fails ends the import with its error', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, noise(20 * chunkSize, 5))
  const store = new MemoryStore()
  store.put = async () => {
    throw new Error('no room')
  }
  await t.throwsAsync(importImage({ path, chunkSize, store }), { message: 'no room' })
})

test('a chunk size out of bounds is refused', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, Buffer.alloc(512))
  const store = new MemoryStore()
  for (const size of [0, 512, chunkSize + 1, 2 * limits.chunkBytesMax]) {
    await rejectsWith(t, 'ERR_IMAGE_SIZE', importImage({ path, chunkSize: size, store }))
  }
})

test('a sparse image of 1 TiB is imported without reading its holes', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const size = 1024 ** 4
  const handle = await open(path, 'w')
  await handle.truncate(size)
  await handle.write(noise(4096, 1), 0, 4096, size / 2)
  await handle.write(noise(4096, 2), 0, 4096, size - 4096)
  await handle.close()
  const store = new MemoryStore()
  let calls = 0
  const result = await importImage({ path, store, onProgress: () => calls++ })
  t.like(result, { size, zeroChunks: result.chunks - 2, distinctChunks: 2 })
  t.true(calls < 50)
  const manifest = await readManifest(result.imageId, sourceOf(store))
  t.not(manifest.chunkIdAt(result.chunks - 1), zeroId)
})
