import { join } from 'node:path'
import { open, stat } from 'node:fs/promises'
import test from 'ava'
import { FileStorage } from '../../src/disk/storage.ts'
import { targetMarkOf } from '../../src/disk/target-mark.ts'
import { noise, sampleImage, temporaryDirectory } from './samples.ts'

const MiB = 1024 * 1024
const size = 8 * MiB
const image = { ...sampleImage(1, 16384), size }
const superblock = { image, instance: Buffer.from('instance') }

test('the mark of a device is another one where its start, or much of the rest, is', async t => {
  const path = join(await temporaryDirectory(t), 'device')
  await using handle = await open(path, 'w+')
  await handle.truncate(size)
  const storage = new FileStorage(handle.fd, path, size)
  const device = { kind: 'device', handle, storage } as const
  const empty = await targetMarkOf(device, superblock)
  t.not(empty, 0n)
  t.is(await targetMarkOf(device, superblock), empty)
  await storage.write(MiB, Buffer.from('mounted'))
  const mounted = await targetMarkOf(device, superblock)
  t.not(mounted, empty)
  await storage.write(3 * MiB, noise(5 * MiB))
  const filled = await targetMarkOf(device, superblock)
  t.not(filled, mounted)
  const elsewhere = await targetMarkOf(device, { image, instance: Buffer.from('another ') })
  t.not(elsewhere, filled, 'nobody who does not know the metadata knows where')
  const file = { kind: 'file', handle, storage } as const
  t.is(await targetMarkOf(file, superblock), (await stat(path, { bigint: true })).ctimeNs)
})

test('what cannot be read is not known', async t => {
  const path = join(await temporaryDirectory(t), 'device')
  await using handle = await open(path, 'w+')
  await handle.truncate(MiB)
  const storage = new FileStorage(handle.fd, path, MiB)
  t.is(await targetMarkOf({ kind: 'device', handle, storage }, superblock), 0n)
})

test('an image of less than a page has a mark', async t => {
  const path = join(await temporaryDirectory(t), 'device')
  await using handle = await open(path, 'w+')
  await handle.truncate(512)
  const storage = new FileStorage(handle.fd, path, 512)
  const small = { ...superblock, image: { ...image, size: 512 } }
  t.not(await targetMarkOf({ kind: 'device', handle, storage }, small), 0n)
})
