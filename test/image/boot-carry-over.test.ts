import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { carryOver, nameSteps } from '../../src/image/boot-carry-over.ts'
import { readManifest, sourceOf, type Manifest } from '../../src/image/index.ts'
import { importBytes, noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = limits.chunkBytesMin
const [a, b, c, d] = [1, 2, 3, 4].map(seed => noise(chunkSize, seed)) as [
  Buffer,
  Buffer,
  Buffer,
  Buffer
]
const zero = Buffer.alloc(chunkSize)

async function manifestOf(
  t: ExecutionContext,
  chunks: Buffer[],
  size = chunkSize
): Promise<Manifest> {
  const path = join(await temporaryDirectory(t), 'image')
  const { result, store } = await importBytes(path, Buffer.concat(chunks), size)
  return readManifest(result.imageId, sourceOf(store))
}

test('what moved is found by its bytes, what changed by its place, and each is named once', async t => {
  const old = await manifestOf(t, [a, b, c, zero, d])
  const boot = [4, 0, 3, 2, 1].map((position, ms) => ({ position, ms }))
  const named = nameSteps(boot, old)
  t.deepEqual(
    named.map(({ position }) => position),
    [4, 0, 2, 1],
    'zeros are no chunks'
  )
  const changed = noise(chunkSize, 9)
  const next = await manifestOf(t, [b, changed, c, a, zero])
  t.deepEqual(carryOver(named, chunkSize, next), [
    { position: 3, ms: 1 },
    { position: 2, ms: 3 },
    { position: 0, ms: 4 }
  ])
  const kept = await manifestOf(t, [a, changed, c, zero, d])
  t.deepEqual(
    carryOver(named, chunkSize, kept).map(({ position }) => position),
    [4, 0, 2, 1]
  )
})

test('an image that is shorter, or has other chunks, takes what it can', async t => {
  const named = nameSteps(
    [
      { position: 3, ms: 0 },
      { position: 1, ms: 5 }
    ],
    await manifestOf(t, [a, b, c, d])
  )
  t.deepEqual(carryOver(named, chunkSize, await manifestOf(t, [c, d])), [{ position: 1, ms: 0 }])
  const larger = await manifestOf(t, [a, b, c, d], 2 * chunkSize)
  t.deepEqual(carryOver(named, chunkSize, larger), [
    { position: 1, ms: 0 },
    { position: 0, ms: 5 }
  ])
})
