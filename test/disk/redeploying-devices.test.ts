import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { isErrorCode, silentLogger } from '../../src/base/index.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import type { TargetDiskOptions } from '../../src/disk/index.ts'
import { chunkIdOf, isZero, zeroId } from '../../src/image/index.ts'
import { loopDevice } from './loop-device.ts'
import { labKey, optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'
import type { SampleImage } from './samples.ts'

// On a device the metadata lies behind the image: for an image of another size it has to go elsewhere.

const MiB = 1024 * 1024
const chunkSize = 128 * 1024

/** As the former one, but in another order and of another length; where that ends, new chunks. */
function nextImage(former: SampleImage, chunkCount: number): SampleImage {
  const fresh = sampleImage(99, chunkCount * chunkSize, { chunkSize })
  const bytes = Buffer.from(fresh.bytes)
  for (let position = 0; position < Math.min(chunkCount, former.chunkCount); position++) {
    former.chunk(former.chunkCount - 1 - position).copy(bytes, position * chunkSize)
  }
  const chunk = (position: number): Buffer =>
    bytes.subarray(position * chunkSize, (position + 1) * chunkSize)
  return {
    ...fresh,
    imageId: chunkIdOf(bytes),
    bytes,
    chunk,
    chunkIdAt: position => (isZero(chunk(position)) ? zeroId : chunkIdOf(chunk(position)))
  }
}

async function deploy(options: TargetDiskOptions, image: SampleImage): Promise<TargetDisk> {
  const disk = await TargetDisk.open(options)
  await placeAll(disk, image)
  await disk.finish()
  const { badChunks } = await disk.verify(image)
  if (badChunks.length > 0) throw new Error(`bad chunks: ${badChunks.join()}`)
  await disk.markComplete()
  return disk
}

function redeployOptions(path: string, former: SampleImage, image: SampleImage): TargetDiskOptions {
  return {
    ...optionsFor(path, image),
    redeploy: true,
    reuse: { names: image, formerNames: () => Promise.resolve(former) }
  }
}

async function device(t: ExecutionContext, size: number) {
  const file = join(await temporaryDirectory(t), 'disk')
  return { file, path: await loopDevice(t, file, size) }
}

for (const [what, chunks] of [
  ['larger', 40],
  ['smaller', 17]
] as const) {
  test(`a device is switched to a ${what} image, and back`, async t => {
    const { file, path } = await device(t, 64 * MiB)
    const former = sampleImage(7, 24 * chunkSize, { chunkSize })
    const next = nextImage(former, chunks)
    const first = await deploy(optionsFor(path, former), former)
    await first.write(2 * chunkSize, Buffer.alloc(4096, 9))
    await first.setIdentity(new Uint8Array([1, 2, 3]))
    await first.close()

    const second = await TargetDisk.open(redeployOptions(path, former, next))
    const shared = Math.min(chunks, former.chunkCount)
    t.is(second.reusedBytes, shared * chunkSize, 'what was put aside counts, too')
    t.deepEqual(second.identity(), new Uint8Array([1, 2, 3]))
    await second.close()
    const third = await deploy(optionsFor(path, next), next)
    await third.close()
    t.is((await TargetDisk.peek(path))?.image.imageId, next.imageId)
    t.true((await readFile(file)).subarray(0, next.size).equals(next.bytes))

    const back = await deploy(redeployOptions(path, next, former), former)
    t.true(back.reusedBytes >= shared * chunkSize)
    await back.close()
    t.true((await readFile(file)).subarray(0, former.size).equals(former.bytes))
    t.true((await TargetDisk.peek(path))?.complete)
  })
}

test('a device without room for both is left as it is', async t => {
  const { path } = await device(t, 16 * MiB)
  const former = sampleImage(7, 24 * chunkSize, { chunkSize })
  await (await deploy(optionsFor(path, former), former)).close()
  const larger = nextImage(former, 28)
  const error = await t.throwsAsync(TargetDisk.open(redeployOptions(path, former, larger)))
  t.true(isErrorCode(error, 'ERR_TARGET_TOO_SMALL'), String(error))
  const again = await TargetDisk.open(optionsFor(path, former))
  t.true(again.markedComplete)
  await again.close()
  const foreign = {
    ...optionsFor(path, larger),
    labKey,
    logger: silentLogger,
    force: true,
    scan: true
  }
  const reuse = { names: larger, formerNames: () => Promise.resolve(undefined) }
  const taken = await TargetDisk.open({ ...foreign, reuse })
  t.true(taken.reusedBytes > 20 * chunkSize, `${taken.reusedBytes} bytes`)
  await taken.close()
})
