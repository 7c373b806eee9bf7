import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { isErrorCode } from '../../src/base/index.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(3, 6 * 16384 + 512, { zeroChunks: [2] })

test('a disk that is handed over keeps every write, is only read, and serves what still matches', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  t.true(isErrorCode(await t.throwsAsync(disk.handOver()), 'ERR_HAND_OVER'), 'not complete')
  await placeAll(disk, image)
  await disk.finish()
  await disk.markComplete()
  await disk.write(4096, Buffer.alloc(4096, 1))
  // Under way when the hand-over begins: it is done, and durable, before that is said.
  const late = disk.write(5 * 16384, Buffer.alloc(512, 2))
  await disk.handOver()
  await late
  await disk.handOver()
  const refused = await t.throwsAsync(disk.write(0, Buffer.alloc(512)))
  t.true(isErrorCode(refused, 'ERR_HAND_OVER'))
  t.true((await TargetDisk.peek(path))?.handedOver)

  // The machine writes past the agent, which finds out when it reads.
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(512, 3), 0, 512, 3 * 16384)
  await file.close()
  t.true(disk.servable(3))
  await disk.distrust(3)
  t.false(disk.servable(3))
  t.false(disk.needs(3))
  t.true(disk.complete)
  t.true(disk.servable(4))
  await disk.close()

  const before = await readFile(`${path}.bootswarm`)
  const again = await TargetDisk.open(optionsFor(path, image))
  t.true(again.handedOver)
  t.true(again.complete)
  t.false(await again.place(3, image.chunk(3)))
  await again.setIdentity(new Uint8Array(10))
  await again.flush()
  t.is((await again.read(5 * 16384, 512))[0], 2)
  await again.close()
  t.true(before.equals(await readFile(`${path}.bootswarm`)), 'nothing was written')
})

test('writes that are to be discarded cannot be handed over', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image, { writes: 'discard' }))
  await placeAll(disk, image)
  await disk.finish()
  await disk.markComplete()
  await disk.device.write(0, Buffer.alloc(512, 1))
  t.true(isErrorCode(await t.throwsAsync(disk.prepareHandOver()), 'ERR_HAND_OVER'))
  await disk.close()
})
