import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { limits, silentLogger } from '../../src/base/index.ts'
import { Items } from '../../src/agent/items.ts'
import { LocalFrames } from '../../src/agent/local-frames.ts'
import { RelayCache } from '../../src/agent/relay-cache.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import {
  chunkIdOf,
  decodeRoot,
  encodePage,
  encodeRoot,
  Manifest,
  readManifest,
  sourceOf,
  zeroId
} from '../../src/image/index.ts'
import { importBytes, mixedImage } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

export const chunkSize = limits.chunkBytesMin
/** Chunks 0 and 4 are the same noise, 1 is text, 2, 3 and 6 zeros, 5 other noise, 7 a short end. */
export const imageBytes = mixedImage(chunkSize)

export function chunkBytes(position: number): Buffer {
  return imageBytes.subarray(position * chunkSize, (position + 1) * chunkSize)
}

/** An image whose manifest has several pages, the first two of them alike; no chunk exists. */
export function manyPages() {
  const alike = Array.from({ length: limits.pageChunksMax }, (_, index) =>
    index === 5 ? zeroId : chunkIdOf(Buffer.from(`${index}`))
  )
  const end = [chunkIdOf(Buffer.from('0')), chunkIdOf(Buffer.from('the end'))]
  const pages = [alike, alike, end].map(encodePage)
  const size = (2 * alike.length + 1) * chunkSize + 512
  const rootBytes = encodeRoot({ size, chunkSize, pageIds: pages.map(chunkIdOf) })
  const manifest = new Manifest(decodeRoot(chunkIdOf(rootBytes), rootBytes))
  return { manifest, pages, alike, end }
}

export async function openDisk(t: ExecutionContext) {
  const directory = await temporaryDirectory(t)
  const { result, store } = await importBytes(join(directory, 'image'), imageBytes, chunkSize)
  const manifest = await readManifest(result.imageId, sourceOf(store))
  const path = join(directory, 'disk')
  const disk = await TargetDisk.open({
    path,
    image: manifest.root,
    labKey: new Uint8Array(32),
    logger: silentLogger,
    onNeed: () => {},
    onNeedless: () => {},
    onServable: () => {}
  })
  t.teardown(() => disk.close())
  return { path, disk, store, manifest, items: new Items(manifest) }
}

export async function openFrames(t: ExecutionContext) {
  const parts = await openDisk(t)
  const relay = new RelayCache()
  const promised = new Set<number>()
  const rotten: number[] = []
  const frames = new LocalFrames({
    ...parts,
    relay,
    logger: silentLogger,
    standing: item => (promised.has(item) ? 'promised' : 'absent'),
    onRotten: position => rotten.push(position)
  })
  t.teardown(() => frames.close())
  return { ...parts, relay, promised, rotten, frames }
}
