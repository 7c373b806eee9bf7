import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { sourceOf } from '../../src/image/chunk-source.ts'
import { encodePage, encodeRoot, decodeRoot } from '../../src/image/format.ts'
import { encodeFrame } from '../../src/image/frames.ts'
import { chunkIdOf, zeroId } from '../../src/image/ids.ts'
import { Manifest, readManifest } from '../../src/image/manifest.ts'
import { rejectsWith, throwsWith } from '../helpers/errors.ts'
import { importBytes, mixedImage } from '../helpers/image-files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = limits.chunkBytesMin

/** An image of two pages whose chunks are made up: only the manifest is real. */
function twoPages() {
  const ids = Array.from({ length: limits.pageChunksMax + 2 }, (_, position) =>
    position % 3 === 0 ? zeroId : chunkIdOf(Buffer.from(`${position % 7}`))
  )
  const pages = [ids.slice(0, limits.pageChunksMax), ids.slice(limits.pageChunksMax)].map(
    encodePage
  )
  const size = (ids.length - 1) * chunkSize + 512
  const rootBytes = encodeRoot({ size, chunkSize, pageIds: pages.map(chunkIdOf) })
  return { ids, pages, rootBytes, root: decodeRoot(chunkIdOf(rootBytes), rootBytes) }
}

test('pages come in any order while the manifest is in use', t => {
  const { ids, pages, root } = twoPages()
  const [first = new Uint8Array(), second = new Uint8Array()] = pages
  const manifest = new Manifest(root)
  t.deepEqual(manifest.missingPages(), [0, 1])
  manifest.addPage(1, second)
  t.deepEqual(manifest.missingPages(), [0])
  t.is(manifest.chunkIdAt(0), undefined)
  t.is(manifest.chunkIdAt(limits.pageChunksMax), ids[limits.pageChunksMax])
  t.is(manifest.pageOf(limits.pageChunksMax), 1)
  manifest.addPage(0, first)
  manifest.addPage(0, first)
  t.deepEqual(manifest.missingPages(), [])
  t.deepEqual(
    ids.map((_, position) => manifest.chunkIdAt(position)),
    ids
  )
  t.is(manifest.chunkLength(0), chunkSize)
  t.is(manifest.chunkLength(ids.length - 1), 512)
})

test('positions and distinct chunks leave the zero chunk out', t => {
  const { ids, pages, root } = twoPages()
  const manifest = new Manifest(root)
  pages.forEach((page, number) => manifest.addPage(number, page))
  const distinct = [...new Set(ids)].filter(id => id !== zeroId)
  t.deepEqual(
    [...manifest.distinctChunks()],
    distinct.map(id => ({ id, position: ids.indexOf(id) }))
  )
  for (const id of distinct) {
    const expected = ids.flatMap((other, position) => (other === id ? [position] : []))
    t.deepEqual(manifest.positionsOf(id), expected)
  }
  t.deepEqual(manifest.positionsOf(zeroId), [])
})

test('a page that is another block, or none of the manifest, is refused', t => {
  const { pages, root } = twoPages()
  const [first = new Uint8Array(), second = new Uint8Array()] = pages
  const manifest = new Manifest(root)
  throwsWith(t, 'ERR_CHUNK_CORRUPT', () => manifest.addPage(0, second))
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => manifest.addPage(2, first))
  t.deepEqual(manifest.missingPages(), [0, 1])
})

test('a whole manifest is read from a source, each page once', async t => {
  const { ids, pages, rootBytes, root } = twoPages()
  const store = new MemoryStore()
  for (const block of [rootBytes, ...pages]) {
    await store.put(chunkIdOf(block), await encodeFrame(block))
  }
  const manifest = await readManifest(root.imageId, sourceOf(store))
  t.deepEqual(manifest.missingPages(), [])
  t.is(manifest.chunkIdAt(1), ids[1])
  store.frames.delete(chunkIdOf(pages[1] ?? new Uint8Array()))
  await rejectsWith(t, 'ERR_CHUNK_MISSING', readManifest(root.imageId, sourceOf(store)))
})

test('equal pages are fetched once', async t => {
  const zeros = encodePage(new Array<string>(limits.pageChunksMax).fill(zeroId))
  const pageIds = [zeros, zeros, zeros].map(chunkIdOf)
  const rootBytes = encodeRoot({ size: 3 * limits.pageChunksMax * chunkSize, chunkSize, pageIds })
  const fetched: string[] = []
  const manifest = await readManifest(chunkIdOf(rootBytes), {
    async fetch(id) {
      fetched.push(id)
      return id === chunkIdOf(rootBytes) ? rootBytes : zeros
    }
  })
  t.deepEqual(fetched, [chunkIdOf(rootBytes), chunkIdOf(zeros)])
  t.deepEqual(manifest.missingPages(), [])
})

test('a chunk is no manifest', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const { result, store } = await importBytes(path, mixedImage(chunkSize), chunkSize)
  const source = sourceOf(store)
  const manifest = await readManifest(result.imageId, source)
  const chunkId = manifest.chunkIdAt(0) ?? ''
  await rejectsWith(t, 'ERR_MANIFEST_INVALID', readManifest(chunkId, source))
})
