import test from 'ava'
import fc from 'fast-check'
import { isErrorCode, seededRandom } from '../../src/base/index.ts'
import { Overlay } from '../../src/disk/overlay.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { CrashingStorage } from './crashing-storage.ts'
import { noise } from './samples.ts'

const size = 3 * 1024 * 1024 + 4096 + 512

test('reads show the base and what was written over it; the base stays as it is', async t => {
  const pristine = noise(size)
  const write = fc.record({
    at: fc.oneof(fc.nat({ max: size - 1 }), fc.constantFrom(0, 1024 * 1024 - 100, size - 300)),
    length: fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 300_000 })),
    fill: fc.nat({ max: 255 })
  })
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 12 }), fc.nat(), async (writes, seed) => {
      const base = memoryDevice(pristine)
      const storage = new CrashingStorage(Buffer.alloc(size + 4096), seededRandom(seed))
      const overlay = new Overlay(base, storage, 'test')
      const expected = Buffer.from(pristine)
      for (const { at, length, fill } of writes) {
        const data = Buffer.alloc(Math.min(length, size - at), fill)
        data.copy(expected, at)
        await overlay.write(at, data)
        const from = Math.max(0, at - 5000)
        const count = Math.min(size - from, data.length + 10_000)
        t.true(expected.subarray(from, from + count).equals(await overlay.read(from, count)))
      }
      t.true(expected.equals(await overlay.read(0, size)))
      t.true(pristine.equals(await base.read(0, size)))
    }),
    { numRuns: 40 }
  )
})

test('a full overlay says so, and what was written before stays readable', async t => {
  const base = memoryDevice(size)
  const storage = new CrashingStorage(Buffer.alloc(4 * 4096), seededRandom(1))
  const overlay = new Overlay(base, storage, 'the disk')
  await overlay.write(8192, Buffer.alloc(4 * 4096, 1))
  const error = await t.throwsAsync(overlay.write(0, Buffer.alloc(512, 2)))
  t.true(isErrorCode(error, 'ERR_DISK_FULL'))
  t.regex(String(error), /no room for more discarded writes/)
  await overlay.write(8192 + 100, Buffer.alloc(100, 3))
  t.is(overlay.usedBytes, 4 * 4096)
  const bytes = await overlay.read(8192, 300)
  t.deepEqual([bytes[99], bytes[100], bytes[200]], [1, 3, 1])
})
