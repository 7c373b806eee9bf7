import fs from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { seededRandom } from '../../src/base/index.ts'
import { DeviceStorage } from '../../src/disk/device-storage.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { loopDevice } from './loop-device.ts'
import { noise, optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const MiB = 1024 * 1024
const size = 8 * MiB

async function backing(t: ExecutionContext): Promise<string> {
  return join(await temporaryDirectory(t), 'backing')
}

async function storageOn(
  t: ExecutionContext,
  file: string,
  sectorBytes: number
): Promise<DeviceStorage> {
  const device = await loopDevice(t, file, size, sectorBytes)
  const { O_RDWR, O_DIRECT, O_EXCL } = fs.constants
  const handle = await open(device, O_RDWR | O_DIRECT | O_EXCL)
  t.teardown(() => handle.close())
  return new DeviceStorage(handle.fd, device, size, sectorBytes)
}

for (const sectorBytes of [512, 4096]) {
  test.serial(`sectors of ${sectorBytes}: any range of bytes is read and written`, async t => {
    const storage = await storageOn(t, await backing(t), sectorBytes)
    const model = Buffer.alloc(size)
    const random = seededRandom(sectorBytes)
    for (let round = 0; round < 60; round++) {
      const offset = Math.floor(random.next() * size)
      const longest = random.next() < 0.5 ? 3 * MiB : 10_000
      const length = Math.min(1 + Math.floor(random.next() * longest), size - offset)
      if (random.next() < 0.2) {
        model.fill(0, offset, offset + length)
        await storage.zero(offset, length)
      } else {
        const data = noise(length)
        data.copy(model, offset)
        await storage.write(offset, data)
      }
      t.true(storage.dirty)
      const from = Math.max(0, offset - 1000)
      const to = Math.min(size, offset + length + 1000)
      t.true(model.subarray(from, to).equals(await storage.read(from, to - from)))
    }
    await storage.sync()
    t.false(storage.dirty)
    t.true(model.equals(await storage.read(0, size)))
  })

  test.serial(
    `sectors of ${sectorBytes}: writes at once into one sector keep each other`,
    async t => {
      const storage = await storageOn(t, await backing(t), sectorBytes)
      const model = Buffer.alloc(64 * 1024)
      const pieces = Array.from({ length: Math.floor(model.length / 700) }, (_, index) => index)
      await Promise.all(
        pieces.map(index => {
          const data = Buffer.alloc(700, index + 1)
          data.copy(model, index * 700)
          return storage.write(index * 700, data)
        })
      )
      t.true(model.equals(await storage.read(0, model.length)))
    }
  )

  test.serial(
    `sectors of ${sectorBytes}: an image on a device, with what the machine wrote`,
    async t => {
      const image = sampleImage(4, 30 * 16384 + 512, { zeroChunks: [2, 3, 4, 5, 6, 7, 8] })
      const device = await loopDevice(t, await backing(t), image.size + 12 * MiB, sectorBytes)
      const disk = await TargetDisk.open(optionsFor(device, image))
      await placeAll(disk, image)
      const expected = Buffer.from(image.bytes)
      for (const [offset, length] of [
        [100, 30],
        [4096, 4096],
        [16384 * 3 + 512, 512],
        [image.size - 512, 512]
      ] as const) {
        const data = noise(length)
        data.copy(expected, offset)
        await disk.write(offset, data)
      }
      await disk.finish()
      t.deepEqual((await disk.verify(image)).badChunks, [])
      await disk.close()
      const handle = await open(device)
      const { buffer } = await handle.read(Buffer.alloc(image.size), 0, image.size, 0)
      await handle.close()
      t.true(expected.equals(buffer))
    }
  )
}

test.serial('zeroing gives room back where the device can', async t => {
  const file = await backing(t)
  const storage = await storageOn(t, file, 512)
  await storage.write(0, noise(size))
  await storage.sync()
  const full = (await stat(file)).blocks
  await storage.zero(MiB + 100, 6 * MiB)
  await storage.sync()
  t.true((await stat(file)).blocks * 512 < full * 512 - 5 * MiB)
  t.true(Buffer.alloc(6 * MiB).equals(await storage.read(MiB + 100, 6 * MiB)))
})
