import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { TargetDisk } from '../../src/disk/index.ts'
import { fuseDisk } from './fuse-disk.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const run = promisify(execFile)
const image = sampleImage(1, 10 * 16384 + 1536, { zeroChunks: [2] })

test('on a full file system writes fail, arrivals wait, are read all the same, and go on', async t => {
  const directory = await temporaryDirectory(t)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory])
  t.teardown(() => run('umount', [directory]))
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const said: boolean[] = []
  const onFull = (isFull: boolean): number => said.push(isFull)
  const options = optionsFor(join(directory, 'disk'), image, { metadataPath })
  const disk = await TargetDisk.open({ ...options, onFull: isFull => void onFull(isFull) })
  t.teardown(() => disk.close())
  // As many as there is room for; the one that comes then has to wait.
  for (const chunk of [9, 8, 7, 6]) await disk.place(chunk, image.chunk(chunk))
  const waiting = Promise.allSettled([disk.place(5, image.chunk(5))])
  t.true(image.chunk(5).equals(await disk.read(5 * 16384, 16384)), 'read from memory')
  t.true(disk.needs(5))
  t.deepEqual(said, [true])
  await t.throwsAsync(disk.write(0, Buffer.alloc(16384, 1)), { code: 'ERR_DISK_FULL' })
  await run('mount', ['-o', 'remount,size=4m', directory])
  t.deepEqual(await waiting, [{ status: 'fulfilled', value: true }])
  t.deepEqual(said, [true, false])
  await disk.write(0, Buffer.alloc(16384, 1))
  await placeAll(disk, image)
  await disk.finish()
  t.deepEqual((await disk.verify(image)).badChunks, [])
  await disk.close()
})

test('all of an image can be read from a disk that is full, only a write says so', async t => {
  const large = sampleImage(2, 80 * 16384)
  const directory = await temporaryDirectory(t)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory])
  t.teardown(() => run('umount', ['--lazy', directory]))
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const refused = new Set<unknown>()
  const disk = await TargetDisk.open({
    ...optionsFor(join(directory, 'disk'), large, { metadataPath }),
    onNeed: position => {
      disk.place(position, large.chunk(position)).catch((error: unknown) => refused.add(error))
    }
  })
  t.teardown(() => disk.close())
  t.true(large.bytes.equals(await disk.read(0, large.size)), 'in one read')
  const reads = Array.from({ length: 80 }, (_, chunk) => disk.read(chunk * 16384, 16384))
  t.true(large.bytes.equals(Buffer.concat(await Promise.all(reads))), 'in many at a time')
  t.true(refused.size > 0, 'dropped for others')
  for (const error of refused) t.like(error, { code: 'ERR_DISK_FULL' })
  const absent = Array.from({ length: 80 }, (_, chunk) => chunk).filter(chunk => disk.needs(chunk))
  const write = disk.write((absent[0] ?? 0) * 16384 + 512, Buffer.alloc(512, 1))
  await t.throwsAsync(write, { code: 'ERR_DISK_FULL' }, 'into part of a block that is not here')
})

test('a full disk that is closed lets go of what waits', async t => {
  const directory = await temporaryDirectory(t)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', directory])
  t.teardown(() => run('umount', [directory]))
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const disk = await TargetDisk.open(optionsFor(join(directory, 'disk'), image, { metadataPath }))
  const waiting = [1, 3, 4].map(chunk => t.throwsAsync(disk.place(chunk, image.chunk(chunk))))
  await disk.read(3 * 16384, 512)
  await disk.close()
  await Promise.all(waiting)
})

test('what the disk cannot read is fetched again; what cannot be mended is an error', async t => {
  const directory = await temporaryDirectory(t)
  const trouble = join(directory, 'trouble')
  const fuse = await fuseDisk(
    directory,
    'disk',
    1024 * 1024,
    ['error'],
    ['error-pread-rate=1', `error-file=${trouble}`]
  )
  t.teardown(() => fuse.kill())
  const first = await TargetDisk.open(optionsFor(fuse.path, image))
  await placeAll(first, image)
  await first.write(4 * 16384, Buffer.alloc(4096, 1))
  await first.close()

  const options = optionsFor(fuse.path, image)
  const disk = await TargetDisk.open({
    ...options,
    onNeed: (position, why) => {
      options.needs.asked.push({ position, why })
      void rm(trouble).then(() => disk.place(position, image.chunk(position)))
    }
  })
  await writeFile(trouble, '')
  t.true(image.bytes.subarray(100, 900).equals(await disk.read(100, 800)))
  t.deepEqual(options.needs.asked, [{ position: 0, why: 'read' }])
  await writeFile(trouble, '')
  await t.throwsAsync(disk.read(4 * 16384, 4096), { code: 'ERR_DISK_IO' }, 'the machine’s own')
  await rm(trouble)
  t.deepEqual(Buffer.from(await disk.read(4 * 16384, 4096)), Buffer.alloc(4096, 1))
  await disk.finish()
  t.deepEqual((await disk.verify(image)).badChunks, [])
  await disk.close()
})

test('a write that the disk refuses is an error for whoever wrote', async t => {
  const directory = await temporaryDirectory(t)
  const trouble = join(directory, 'trouble')
  const fuse = await fuseDisk(
    directory,
    'disk',
    1024 * 1024,
    ['error'],
    ['error-pwrite-rate=1', `error-file=${trouble}`]
  )
  t.teardown(() => fuse.kill())
  const disk = await TargetDisk.open(optionsFor(fuse.path, image))
  await placeAll(disk, image)
  await disk.flush()
  await writeFile(trouble, '')
  const lies = async (): Promise<void> => {
    await disk.write(8192, Buffer.alloc(4096, 1))
    await disk.flush()
  }
  await t.throwsAsync(lies(), { code: 'ERR_DISK_IO' })
  await rm(trouble)
  await disk.close().catch(() => {})
})

test('what the machine has given back and writes again on a full disk is refused then, and not by a later flush', async t => {
  const directory = await temporaryDirectory(t)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', directory])
  t.teardown(() => run('umount', ['--lazy', directory]))
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const disk = await TargetDisk.open(optionsFor(join(directory, 'disk'), image, { metadataPath }))
  t.teardown(() => disk.close())
  await placeAll(disk, image)
  await disk.write(0, Buffer.alloc(16384, 1))
  for (let flush = 0; flush < 3; flush++) await disk.flush()
  const data = Buffer.alloc(4096, 2)
  t.true(disk.writeNow(0, data), 'it has its room')
  await disk.trim(0, 16384)
  const filler = join(directory, 'filler')
  await t.throwsAsync(run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']))
  t.false(disk.writeNow(0, data), 'it has none now')
  await t.throwsAsync(disk.write(0, data), { code: 'ERR_DISK_FULL' })
  await disk.flush()
  await rm(filler)
  await disk.write(0, data)
  t.true(disk.writeNow(0, data))
  await disk.flush()
})
