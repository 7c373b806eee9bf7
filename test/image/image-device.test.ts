import test from 'ava'
import fc from 'fast-check'
import { ChunkCache, ImageDevice, type ImageChunks } from '../../src/image/index.ts'
import { patterned } from '../conformance/block-device.ts'

const chunkSize = 16_384
const bytes = patterned(5 * chunkSize + 1000).fill(0, chunkSize, 3 * chunkSize)

function chunksOf(loads: number[] = []): ImageChunks {
  const cache = new ChunkCache(2 * chunkSize, async position => {
    loads.push(position)
    return bytes.subarray(position * chunkSize, (position + 1) * chunkSize)
  })
  const isZero = (position: number): boolean => position === 1 || position === 2
  return {
    size: bytes.length,
    chunkSize,
    where: async position => (isZero(position) ? 'zero' : cache.has(position) ? 'local' : 'remote'),
    chunk: (position, signal) => cache.get(position, signal)
  }
}

test('any range reads as the image, zeros without asking for them', async t => {
  const loads: number[] = []
  const device = new ImageDevice(chunksOf(loads))
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: bytes.length }),
      fc.nat({ max: 50_000 }),
      async (offset, wanted) => {
        const length = Math.min(wanted, bytes.length - offset)
        const read = await device.read(offset, length)
        return bytes.subarray(offset, offset + length).equals(read)
      }
    )
  )
  t.false(loads.includes(1) || loads.includes(2))
})

test('extents: zeros, what is here, and what is not', async t => {
  const device = new ImageDevice(chunksOf())
  await device.prefetch(0, 10)
  t.deepEqual(await device.extents(100, 4 * chunkSize - 100), [
    { length: chunkSize - 100, zero: false, hole: false, presence: 'local' },
    { length: chunkSize, zero: true, hole: true, presence: 'local' },
    { length: chunkSize, zero: true, hole: true, presence: 'local' },
    { length: chunkSize, zero: false, hole: false, presence: 'remote' }
  ])
})

test('nothing can be written', async t => {
  await t.throwsAsync(new ImageDevice(chunksOf()).write(), { code: 'ERR_INTERNAL' })
})
