import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { sourceOf } from '../../src/image/chunk-source.ts'
import { decodeRoot, encodePage, encodeRoot, pageCountOf } from '../../src/image/format.ts'
import { encodeFrame } from '../../src/image/frames.ts'
import { chunkIdOf } from '../../src/image/ids.ts'
import { Manifest, readManifest } from '../../src/image/manifest.ts'
import { verifyImage } from '../../src/image/verify.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { importBytes, mixedImage, noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = limits.chunkBytesMin

async function imported(t: ExecutionContext) {
  const path = join(await temporaryDirectory(t), 'image')
  const bytes = mixedImage(chunkSize)
  const { result, store } = await importBytes(path, bytes, chunkSize)
  const source = sourceOf(store)
  return { store, source, manifest: await readManifest(result.imageId, source) }
}

test('a whole image verifies, each distinct chunk once', async t => {
  const { source, manifest } = await imported(t)
  const fetched: string[] = []
  const seen: number[] = []
  const result = await verifyImage({
    manifest,
    source: {
      fetch(id) {
        fetched.push(id)
        return source.fetch(id)
      }
    },
    onProgress: ({ bytesDone }) => seen.push(bytesDone)
  })
  t.is(new Set(fetched).size, fetched.length)
  t.deepEqual(result, { distinctChunks: 4, bytes: 3 * chunkSize + 1536 })
  t.is(seen.at(-1), manifest.root.size)
})

test('a missing chunk and a wrong one are named', async t => {
  const { store, source, manifest } = await imported(t)
  const id = manifest.chunkIdAt(5) ?? ''
  store.frames.delete(id)
  const missing = await rejectsWith(t, 'ERR_CHUNK_MISSING', verifyImage({ manifest, source }))
  t.true(missing.message.includes(id))
  await store.put(id, await encodeFrame(noise(chunkSize, 77)))
  const wrong = await rejectsWith(t, 'ERR_CHUNK_CORRUPT', verifyImage({ manifest, source }))
  t.true(wrong.message.includes(id))
})

test('a true chunk of a wrong length is refused', async t => {
  const short = noise(512, 1)
  const page = encodePage([chunkIdOf(short), chunkIdOf(short)])
  const rootBytes = encodeRoot({ size: 2 * chunkSize, chunkSize, pageIds: [chunkIdOf(page)] })
  t.is(pageCountOf(2), 1)
  const manifest = new Manifest(decodeRoot(chunkIdOf(rootBytes), rootBytes))
  manifest.addPage(0, page)
  const source = { fetch: async () => short }
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', verifyImage({ manifest, source }))
})

test('a verification stops when told to', async t => {
  const { source, manifest } = await imported(t)
  const signal = AbortSignal.abort()
  await rejectsWith(t, 'ERR_STOPPED', verifyImage({ manifest, source, signal }))
})
