import { join } from 'node:path'
import test from 'ava'
import { TargetDisk } from '../../src/disk/index.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(1, 6 * 16384)

function written(disk: TargetDisk, offset: number, data: Uint8Array): Promise<Error | undefined> {
  return new Promise(resolve => {
    if (!disk.writeSoon(offset, data, resolve)) resolve(new Error('it needs more'))
  })
}

test('only what is the machine’s own, and recorded so for good, is written without more', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  const data = Buffer.alloc(4096, 5)
  const refused = async (why: string): Promise<void> => {
    t.is((await written(disk, 0, data))?.message, 'it needs more', why)
  }
  await refused('it is missing')
  await placeAll(disk, image)
  await refused('it is the image’s')
  await disk.write(0, Buffer.alloc(8192, 4))
  await refused('no record says that it is the machine’s')
  // One makes the record durable, one says so, and one makes that durable.
  for (let flush = 0; flush < 3; flush++) await disk.flush()
  t.is(await written(disk, 0, data), undefined)
  t.is(await written(disk, 1000, Buffer.alloc(10, 6)), undefined)
  t.is((await written(disk, 4096, Buffer.alloc(8192)))?.message, 'it needs more', 'half of it')
  await disk.flush()
  const expected = Buffer.concat([data, Buffer.alloc(4096, 4), image.bytes.subarray(8192, 16384)])
  expected.fill(6, 1000, 1010)
  t.true(expected.equals(await disk.read(0, 16384)))
  await disk.close()
  await refused('it is closed')
})

test('a disk waits at its end for what is being written', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  await disk.write(0, Buffer.alloc(16384, 4))
  for (let flush = 0; flush < 3; flush++) await disk.flush()
  const order: string[] = []
  const writes = Array.from({ length: 40 }, async (_, at) => {
    t.is(await written(disk, (at % 4) * 4096, Buffer.alloc(4096, at)), undefined)
    order.push('written')
  })
  await disk.close().then(() => order.push('closed'))
  await Promise.all(writes)
  t.is(order.at(-1), 'closed')
})
