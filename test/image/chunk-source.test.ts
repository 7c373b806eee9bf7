import test from 'ava'
import { sourceOf } from '../../src/image/chunk-source.ts'
import { encodeFrame } from '../../src/image/frames.ts'
import { chunkIdOf } from '../../src/image/ids.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'

test('a store is a source of verified bytes', async t => {
  const store = new MemoryStore()
  const plain = Buffer.alloc(4096, 'abc')
  const id = chunkIdOf(plain)
  const source = sourceOf(store)
  await rejectsWith(t, 'ERR_CHUNK_MISSING', source.fetch(id))
  store.frames.set(id, await encodeFrame(noise(4096, 1)))
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', source.fetch(id))
  store.frames.set(id, await encodeFrame(plain))
  t.deepEqual(Buffer.from(await source.fetch(id)), plain)
})
