import { mkdir, open, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { sourceOf } from '../../src/image/chunk-source.ts'
import { exportImage } from '../../src/image/export.ts'
import { importImage } from '../../src/image/import.ts'
import { readManifest } from '../../src/image/manifest.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { importBytes, mixedImage, noise } from '../helpers/image-files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = limits.chunkBytesMin
const bytes = mixedImage(chunkSize)

async function imported(t: ExecutionContext) {
  const directory = await temporaryDirectory(t)
  const { result, store } = await importBytes(join(directory, 'image'), bytes, chunkSize)
  const source = sourceOf(store)
  const manifest = await readManifest(result.imageId, source)
  return { directory, store, source, manifest, path: join(directory, 'exported') }
}

test('an export is the image, byte for byte', async t => {
  const { directory, ...options } = await imported(t)
  await exportImage(options)
  t.true(bytes.equals(await readFile(options.path)))
  t.deepEqual((await readdir(directory)).sort(), ['exported', 'image'])
})

test('an export replaces a file as a whole, through a link too', async t => {
  const { directory, ...options } = await imported(t)
  await writeFile(options.path, Buffer.alloc(2 * bytes.length, 'old'))
  const link = join(directory, 'link')
  await symlink(options.path, link)
  await exportImage({ ...options, path: link })
  t.true(bytes.equals(await readFile(options.path)))
})

test('zero chunks become holes', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'sparse')
  const handle = await open(path, 'w')
  await handle.truncate(8 * 1024 ** 3)
  await handle.write(noise(chunkSize, 1), 0, chunkSize, 2 ** 32)
  await handle.close()
  const store = new MemoryStore()
  const { imageId } = await importImage({ path, store })
  const source = sourceOf(store)
  const exported = join(directory, 'exported')
  await exportImage({ manifest: await readManifest(imageId, source), source, path: exported })
  const { size, blocks } = await stat(exported)
  t.is(size, 8 * 1024 ** 3)
  t.true(blocks * 512 <= 2 * limits.chunkBytesDefault)
  const check = await open(exported)
  const read = Buffer.alloc(chunkSize)
  await check.read(read, 0, chunkSize, 2 ** 32)
  await check.close()
  t.true(read.equals(noise(chunkSize, 1)))
})

test('an export that fails or is stopped leaves nothing behind', async t => {
  const { directory, store, ...options } = await imported(t)
  const before = await readdir(directory)
  await rejectsWith(t, 'ERR_STOPPED', exportImage({ ...options, signal: AbortSignal.abort() }))
  store.frames.delete(options.manifest.chunkIdAt(1) ?? '')
  await rejectsWith(t, 'ERR_CHUNK_MISSING', exportImage(options))
  t.deepEqual(await readdir(directory), before)
})

test('a place that cannot be written is named', async t => {
  const { directory, ...options } = await imported(t)
  const missing = join(directory, 'no/such/place')
  await rejectsWith(t, 'ERR_FILE_MISSING', exportImage({ ...options, path: missing }))
  await mkdir(options.path)
  await rejectsWith(t, 'ERR_IMAGE_KIND', exportImage(options))
})
