import { open } from 'node:fs/promises'
import test from 'ava'
import type { ChunkId } from '../../src/base/index.ts'
import { keepPage } from '../../src/agent/kept-manifest.ts'
import { chunkIdOf, decodeFrame, encodeFrame } from '../../src/image/index.ts'
import { chunkBytes, chunkSize, openFrames } from './samples.ts'

const noiseId = chunkIdOf(chunkBytes(0))
const textId = chunkIdOf(chunkBytes(1))

test('a chunk is absent, promised, then held; its frame decodes to it', async t => {
  const { disk, frames, promised, relay } = await openFrames(t)
  t.is(frames.holding(textId), 'absent')
  t.is(await frames.load(textId), undefined)
  promised.add(1)
  t.is(frames.holding(textId), 'promised')
  await disk.place(1, chunkBytes(1))
  t.is(frames.holding(textId), 'held')
  const frame = await frames.load(textId)
  t.is(frame?.encoding, 'zstd', 'text is compressed for the wire')
  t.true(frame !== undefined && chunkBytes(1).equals(await decodeFrame(frame, chunkSize)))
  t.true(relay.has(textId), 'and not a second time')
  t.is(frames.holding(chunkIdOf(Buffer.from('of another image'))), 'absent')
})

test('a frame that just came in is passed on as it came, before the disk has it', async t => {
  const { frames, relay } = await openFrames(t)
  const frame = await encodeFrame(chunkBytes(0))
  relay.put(noiseId, frame)
  t.is(frames.holding(noiseId), 'held')
  const loaded = await frames.load(noiseId)
  t.true(Buffer.from(frame.bytes).equals(loaded?.bytes ?? new Uint8Array()))
})

test('any copy of a chunk will do', async t => {
  const { disk, frames } = await openFrames(t)
  await disk.place(4, chunkBytes(4))
  t.is(frames.holding(noiseId), 'held')
  t.true(chunkBytes(0).equals((await frames.plain(noiseId)) ?? new Uint8Array()))
})

test('what the machine wrote is not served, what was put aside before it is', async t => {
  const { disk, frames } = await openFrames(t)
  await disk.place(1, chunkBytes(1))
  await disk.write(chunkSize, Buffer.alloc(4096, 'the machine'))
  t.is(frames.holding(textId), 'held')
  const frame = await frames.load(textId)
  t.true(frame !== undefined && chunkBytes(1).equals(await decodeFrame(frame, chunkSize)))
})

test('rot on the disk is noticed and not served', async t => {
  const { path, disk, frames, rotten } = await openFrames(t)
  await disk.place(1, chunkBytes(1))
  const file = await open(path, 'r+')
  await file.write('x', chunkSize + 100)
  await file.close()
  t.is(await frames.load(textId), undefined)
  t.deepEqual(rotten, [1])
})

test('manifest pages are served from what was kept of them', async t => {
  const { disk, manifest, store, frames } = await openFrames(t)
  const pageId: ChunkId = manifest.root.pageIds[0] ?? ''
  t.is(frames.holding(pageId), 'held', 'the manifest is here')
  t.is(await frames.load(pageId), undefined, 'but was not kept yet')
  const stored = await store.get(pageId)
  const page = stored === undefined ? new Uint8Array() : await decodeFrame(stored, 1e6)
  await keepPage(disk, 0, page)
  const frame = await frames.load(pageId)
  t.true(frame !== undefined && Buffer.from(page).equals(await decodeFrame(frame, 1e6)))
})
