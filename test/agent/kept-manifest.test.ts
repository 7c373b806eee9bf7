import test from 'ava'
import { keepPage, keepRoot, keptManifest, keptPage } from '../../src/agent/kept-manifest.ts'
import { decodeFrame } from '../../src/image/index.ts'
import { openDisk } from './samples.ts'

test('the manifest is there again after a restart, as far as it was kept', async t => {
  const { disk, manifest, store } = await openDisk(t)
  const { imageId, pageIds } = manifest.root
  const [pageId = ''] = pageIds
  const block = async (id: string): Promise<Uint8Array> => {
    const frame = await store.get(id)
    return frame === undefined ? new Uint8Array() : decodeFrame(frame, 1e6)
  }
  t.is(await keptManifest(disk, imageId), undefined)
  await keepRoot(disk, await block(imageId))
  t.deepEqual((await keptManifest(disk, imageId))?.missingPages(), [0])
  t.is(await keptPage(disk, 0, pageId), undefined)
  await keepPage(disk, 0, await block(pageId))
  const kept = await keptManifest(disk, imageId)
  t.deepEqual(kept?.missingPages(), [])
  t.is(kept?.chunkIdAt(0), manifest.chunkIdAt(0))
  t.is(await keptManifest(disk, pageId), undefined, 'of another image it is none')
  t.is(await keptPage(disk, 0, imageId), undefined)
})
