import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { TargetDisk } from '../../src/disk/index.ts'
import { fuseDisk } from './fuse-disk.ts'
import { loopDevice } from './loop-device.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(1, 6 * 16384)

/** The first chunk is the machine's, recorded so for good. */
async function settledDisk(path: string): Promise<TargetDisk> {
  const disk = await TargetDisk.open(optionsFor(path, image))
  await placeAll(disk, image)
  await disk.write(0, Buffer.alloc(16384, 4))
  // One makes the record durable, one says so, and one makes that durable.
  for (let flush = 0; flush < 3; flush++) await disk.flush()
  return disk
}

test('only what holds nothing of the image, and what no crash may take back, is taken at once', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  const data = Buffer.alloc(4096, 5)
  t.false(disk.writeNow(0, data), 'there is no room for it yet')
  await placeAll(disk, image)
  t.false(disk.writeNow(0, data), 'it is the image’s')
  await disk.write(0, Buffer.alloc(8192, 4))
  t.true(disk.writeNow(0, data), 'no record speaks of it yet')
  await disk.flush()
  t.false(disk.writeNow(0, data), 'it has to be what its record says')
  for (let flush = 0; flush < 2; flush++) await disk.flush()
  t.true(disk.writeNow(0, data))
  t.true(disk.writeNow(1000, Buffer.alloc(10, 6)))
  t.false(disk.writeNow(4096, Buffer.alloc(8192)), 'half of it is not')
  await disk.flush()
  const expected = Buffer.concat([data, Buffer.alloc(4096, 4), image.bytes.subarray(8192, 16384)])
  expected.fill(6, 1000, 1010)
  t.true(expected.equals(await disk.read(0, 16384)))
  await disk.close()
  t.false(disk.writeNow(0, data), 'it is closed')
})

test('on a device the first write of a missing block is taken at once, and survives', async t => {
  const directory = await temporaryDirectory(t)
  const device = await loopDevice(t, join(directory, 'backing'), 64 * 1024 * 1024)
  const options = optionsFor(device, image)
  const disk = await TargetDisk.open(options)
  const data = Buffer.alloc(8192, 5)
  t.false(disk.writeNow(512, data), 'of a block a part is missing')
  t.false(disk.writeNow(12288, data), 'two chunks')
  t.true(disk.writeNow(4096, data))
  t.deepEqual(options.needs.asked, [{ position: 0, why: 'aside' }])
  t.true(data.equals(await disk.read(4096, 8192)))
  t.true(disk.writeNow(4096, data.fill(6)))
  await disk.flush()
  await placeAll(disk, image)
  await disk.close()
  const again = await TargetDisk.open(optionsFor(device, image))
  const expected = Buffer.from(image.bytes.subarray(0, 16384)).fill(6, 4096, 12288)
  t.true(expected.equals(await again.read(0, 16384)))
  await again.close()
})

test('whoever comes later sees what was taken', async t => {
  const directory = await temporaryDirectory(t)
  const device = await loopDevice(t, join(directory, 'backing'), 64 * 1024 * 1024)
  for (const path of [join(directory, 'disk'), device]) {
    const disk = await settledDisk(path)
    const shown = Buffer.alloc(16384, 4)
    const into = Buffer.alloc(512)
    for (let round = 0; round < 200; round++) {
      const at = (round % 4) * 4096
      const data = Buffer.alloc(4096, round)
      if (!disk.writeNow(at, data)) await disk.write(at, data)
      shown.set(data, at)
      // What lies across what was taken, with and without a way that waits for nothing.
      if (disk.readNow(at + 512, into)) t.true(into.equals(shown.subarray(at + 512, at + 1024)))
      if (round % 3 === 0) {
        await disk.write(at + 100, Buffer.alloc(7, 255))
        shown.fill(255, at + 100, at + 107)
      }
      if (round % 7 === 0) {
        await disk.zero(at, 4096)
        shown.fill(0, at, at + 4096)
      }
      if (round % 5 === 0) t.true(shown.equals(await disk.read(0, 16384)), `${path} ${round}`)
    }
    await disk.close()
    const again = await TargetDisk.open(optionsFor(path, image))
    t.true(shown.equals(await again.read(0, 16384)))
    await again.close()
  }
})

test('a disk writes at its end what it has taken', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await settledDisk(path)
  for (let at = 0; at < 4; at++) t.true(disk.writeNow(at * 4096, Buffer.alloc(4096, at)))
  await disk.close()
  const again = await TargetDisk.open(optionsFor(path, image))
  for (let at = 0; at < 4; at++) {
    t.deepEqual(Buffer.from(await again.read(at * 4096, 4096)), Buffer.alloc(4096, at))
  }
  await again.close()
})

test('if what was taken cannot be written, no flush says that it was', async t => {
  const directory = await temporaryDirectory(t)
  const trouble = join(directory, 'trouble')
  const failing = ['error-pwrite-rate=1', `error-file=${trouble}`]
  const fuse = await fuseDisk(directory, 'disk', 1024 * 1024, ['error'], failing)
  t.teardown(() => fuse.kill())
  const disk = await settledDisk(fuse.path)
  await writeFile(trouble, '')
  t.true(disk.writeNow(0, Buffer.alloc(4096, 1)))
  for (let flush = 0; flush < 3; flush++) {
    await t.throwsAsync(disk.flush(), { code: 'ERR_DISK_IO' })
  }
  await rm(trouble)
  t.false(disk.writeNow(0, Buffer.alloc(4096, 1)), 'no more is taken on trust')
  await disk.write(0, Buffer.alloc(4096, 1))
  await t.throwsAsync(disk.flush(), { code: 'ERR_DISK_IO' }, 'what was lost stays lost')
  await t.throwsAsync(disk.close(), { code: 'ERR_DISK_IO' })
})
