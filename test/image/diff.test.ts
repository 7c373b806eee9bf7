import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { diffManifests } from '../../src/image/diff.ts'
import { chunkIdOf } from '../../src/image/ids.ts'
import { readManifest, sourceOf } from '../../src/image/index.ts'
import { importBytes, noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = 16 * 1024
const zeros = Buffer.alloc(chunkSize)
const piece = (seed: number): Buffer => noise(chunkSize, seed)

async function manifestOf(t: ExecutionContext, pieces: Buffer[]) {
  const path = join(await temporaryDirectory(t), 'image')
  const { result, store } = await importBytes(path, Buffer.concat(pieces), chunkSize)
  return readManifest(result.imageId, sourceOf(store))
}

test('an image differs from itself in nothing', async t => {
  const image = await manifestOf(t, [piece(1), zeros, piece(2)])
  t.deepEqual(diffManifests(image, image), { changed: 0, zeroed: 0, moved: 0, added: new Set() })
})

test('what changed is now zero, was elsewhere, or is new, counted once', async t => {
  const from = await manifestOf(t, [piece(1), piece(2), piece(3), piece(4)])
  const to = await manifestOf(t, [piece(1), zeros, piece(2), piece(5), piece(5), piece(6)])
  t.deepEqual(diffManifests(from, to), {
    changed: 5,
    zeroed: 1,
    moved: 1,
    added: new Set([chunkIdOf(piece(5)), chunkIdOf(piece(6))])
  })
})

test('a shorter image needs nothing of what was behind its end', async t => {
  const from = await manifestOf(t, [piece(1), piece(2)])
  const to = await manifestOf(t, [piece(1)])
  t.is(diffManifests(from, to).changed, 0)
})
