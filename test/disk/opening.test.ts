import { copyFile, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import {
  decodeSuperblock,
  encodeSuperblock,
  metadataVersion,
  pageBytes,
  regionsOf
} from '../../src/disk/format.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { loopDevice } from './loop-device.ts'
import { labKey, noise, optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(1, 10 * 16384 + 1536, { zeroChunks: [2] })
const otherImage = sampleImage(2, 10 * 16384 + 1536)

async function newTarget(t: ExecutionContext): Promise<string> {
  return join(await temporaryDirectory(t), 'disk')
}

async function deployed(t: ExecutionContext): Promise<string> {
  const path = await newTarget(t)
  const disk = await TargetDisk.open(optionsFor(path, image))
  await disk.place(0, image.chunk(0))
  await disk.setIdentity(Buffer.from('who I am'))
  await disk.close()
  return path
}

async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+')
  await handle.write(bytes, 0, bytes.length, offset)
  await handle.close()
}

test('an absent target is made with holes, and only its owner may read its metadata', async t => {
  const path = await newTarget(t)
  const disk = await TargetDisk.open(optionsFor(path, image))
  await disk.close()
  const stats = await stat(path)
  t.is(stats.size, image.size)
  t.is(stats.blocks, 0)
  t.is((await stat(`${path}.bootswarm`)).mode & 0o777, 0o600)
})

test('a target without data is taken: empty, all holes, or all zeros, and a larger one keeps its size', async t => {
  for (const [size, data] of [
    [0, undefined],
    [2 * image.size, undefined],
    [image.size, Buffer.alloc(image.size)]
  ] as const) {
    const path = await newTarget(t)
    await writeFile(path, data ?? '')
    await truncate(path, size)
    const disk = await TargetDisk.open(optionsFor(path, image))
    t.is(disk.size, image.size)
    await disk.close()
    t.is((await stat(path)).size, Math.max(size, image.size))
  }
})

test('foreign data is not overwritten but by force', async t => {
  const path = await newTarget(t)
  const bytes = Buffer.alloc(2 * image.size)
  bytes[image.size - 1] = 1
  await writeFile(path, bytes)
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), { code: 'ERR_TARGET_FOREIGN' })
  t.true((await readFile(path)).equals(bytes))
  await t.throwsAsync(stat(`${path}.bootswarm`), { code: 'ENOENT' })
  const disk = await TargetDisk.open(optionsFor(path, image, { force: true }))
  await disk.close()
})

test('a target that is smaller than the image is refused, with both sizes', async t => {
  const path = await newTarget(t)
  await writeFile(path, Buffer.alloc(4096))
  const error = await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), {
    code: 'ERR_TARGET_TOO_SMALL'
  })
  t.regex(error.message, /4096/)
  t.regex(error.message, new RegExp(String(image.size)))
})

test('the disk of another image or lab is not touched but by force', async t => {
  const path = await deployed(t)
  const others = [
    optionsFor(path, otherImage),
    optionsFor(path, image, { labKey: new Uint8Array(32) })
  ]
  for (const options of others) {
    await t.throwsAsync(TargetDisk.open(options), { code: 'ERR_TARGET_FOREIGN' })
  }
  const same = await TargetDisk.open(optionsFor(path, image))
  t.false(same.needs(0))
  await same.close()

  const forced = await TargetDisk.open(optionsFor(path, otherImage, { force: true }))
  t.true(forced.needs(0))
  t.is(Buffer.from(forced.identity() ?? []).toString(), 'who I am', 'the machine stays itself')
  await placeAll(forced, otherImage)
  await forced.finish()
  await forced.close()
  t.true((await readFile(path)).equals(otherImage.bytes))

  const otherLab = optionsFor(path, otherImage, { labKey: new Uint8Array(32), force: true })
  const inOtherLab = await TargetDisk.open(otherLab)
  t.is(inOtherLab.identity(), undefined, 'another lab does not get its key')
  await inOtherLab.close()
})

test('force on a disk of this very deployment changes nothing', async t => {
  const path = await deployed(t)
  const disk = await TargetDisk.open(optionsFor(path, image, { force: true }))
  t.false(disk.needs(0))
  await disk.close()
})

test('only one agent holds a target, wherever it keeps the metadata', async t => {
  const path = await newTarget(t)
  const disk = await TargetDisk.open(optionsFor(path, image))
  const elsewhere = { metadataPath: `${path}.elsewhere` }
  const busy = { code: 'ERR_TARGET_BUSY' }
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), busy)
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image, elsewhere)), busy)
  await disk.close()
  const next = await TargetDisk.open(optionsFor(path, image))
  await next.close()
})

test('metadata in a file of its own choice', async t => {
  const path = await newTarget(t)
  const metadataPath = `${path}-notes`
  const disk = await TargetDisk.open(optionsFor(path, image, { metadataPath }))
  await disk.close()
  t.is((await TargetDisk.peek(path, metadataPath))?.image.imageId, image.imageId)
  t.is(await TargetDisk.peek(path), undefined)
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image, { metadataPath: path })), {
    code: 'ERR_USAGE'
  })
})

test('a file that is no metadata is not taken for it', async t => {
  const path = await newTarget(t)
  const metadataPath = `${path}-notes`
  const notes = noise(100_000)
  await writeFile(metadataPath, notes)
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image, { metadataPath })), {
    code: 'ERR_METADATA_CORRUPT'
  })
  t.true((await readFile(metadataPath)).equals(notes))
})

test('either superblock copy is enough, and without one nothing is trusted', async t => {
  const path = await deployed(t)
  const side = `${path}.bootswarm`
  const lastPage = (await stat(side)).size - pageBytes
  for (const offset of [0, lastPage]) {
    await overwrite(side, offset + 40, noise(100))
    const disk = await TargetDisk.open(optionsFor(path, image))
    t.false(disk.needs(0))
    t.is(Buffer.from(disk.identity() ?? []).toString(), 'who I am')
    await disk.close()
  }
  await overwrite(side, 40, noise(100))
  await overwrite(side, lastPage + 40, noise(100))
  const corrupt = { code: 'ERR_METADATA_CORRUPT' }
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), corrupt)
  await t.throwsAsync(TargetDisk.peek(path), corrupt)
  const disk = await TargetDisk.open(optionsFor(path, image, { force: true }))
  t.true(disk.needs(0))
  await disk.close()
})

test('one copy of the presence map is enough', async t => {
  for (const slot of [0, 1]) {
    const path = await deployed(t)
    const side = `${path}.bootswarm`
    const reading = decodeSuperblock((await readFile(side)).subarray(0, pageBytes))
    if (reading.kind !== 'intact') return t.fail()
    const { superblock } = reading
    await overwrite(side, regionsOf(image, superblock).snapshotOffsets[slot] ?? 0, noise(100))
    const disk = await TargetDisk.open(optionsFor(path, image))
    t.false(disk.needs(0))
    await disk.close()
  }
})

test('a presence map that is damaged is not trusted', async t => {
  const path = await deployed(t)
  // The first snapshot goes into slot 1, a restart's into slot 0.
  const side = `${path}.bootswarm`
  const bytes = await readFile(side)
  const reading = decodeSuperblock(bytes.subarray(0, pageBytes))
  t.true(reading.kind === 'intact' && reading.superblock.snapshotSlot === 1)
  await overwrite(side, pageBytes + 2 * (limits.identityBytesMax + pageBytes), noise(100_000))
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), { code: 'ERR_METADATA_CORRUPT' })
})

test('another format version is said to be one', async t => {
  const path = await deployed(t)
  const side = `${path}.bootswarm`
  const reading = decodeSuperblock((await readFile(side)).subarray(0, pageBytes))
  if (reading.kind !== 'intact') return t.fail()
  const page = encodeSuperblock(reading.superblock)
  page.writeUInt16BE(metadataVersion + 1, 8)
  page.writeUInt32BE(crc32(page.subarray(0, 508)), 508)
  await overwrite(side, 0, page)
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image)), { code: 'ERR_FORMAT_VERSION' })
})

test('a target that was removed begins anew, as the same machine', async t => {
  const path = await deployed(t)
  await truncate(path, 0)
  const disk = await TargetDisk.open(optionsFor(path, image))
  t.true(disk.needs(0))
  t.is(Buffer.from(disk.identity() ?? []).toString(), 'who I am')
  await disk.close()
})

test('what is no disk is refused', async t => {
  const directory = await temporaryDirectory(t)
  await t.throwsAsync(TargetDisk.open(optionsFor(directory, image)), { code: 'ERR_USAGE' })
  await t.throwsAsync(TargetDisk.open(optionsFor('/dev/null', image)), { code: 'ERR_USAGE' })
  const nowhere = optionsFor(join(directory, 'no', 'disk'), image)
  await t.throwsAsync(TargetDisk.open(nowhere), { code: 'ERR_FILE_MISSING' })
})

async function newDevice(t: ExecutionContext, size: number): Promise<string> {
  return loopDevice(t, join(await temporaryDirectory(t), 'backing'), size)
}

const metadataBytes = 10 * 1024 * 1024

test.serial('on a device the metadata lies after the image’s end', async t => {
  const device = await newDevice(t, image.size + metadataBytes)
  const first = await TargetDisk.open(optionsFor(device, image))
  await t.throwsAsync(TargetDisk.open(optionsFor(device, image)), { code: 'ERR_TARGET_BUSY' })
  await placeAll(first, image)
  await first.write(4096, Buffer.alloc(4096, 1))
  await first.setIdentity(Buffer.from('who I am'))
  await first.close()

  const peeked = await TargetDisk.peek(device)
  t.is(peeked?.image.size, image.size, 'found without knowing the image')
  t.is(Buffer.from(peeked?.identity ?? []).toString(), 'who I am')
  await t.throwsAsync(TargetDisk.open(optionsFor(device, otherImage)), {
    code: 'ERR_TARGET_FOREIGN'
  })
  const second = await TargetDisk.open(optionsFor(device, image))
  t.true(second.complete)
  await second.finish()
  t.deepEqual((await second.verify(image)).badChunks, [])
  await second.close()
  const expected = Buffer.from(image.bytes)
  expected.fill(1, 4096, 8192)
  t.true((await readFile(device)).subarray(0, image.size).equals(expected))
})

test.serial('a used device is really zeroed where the image is zero', async t => {
  const device = await newDevice(t, image.size + metadataBytes)
  await overwrite(device, 0, Buffer.alloc(image.size, 0xee))
  await t.throwsAsync(TargetDisk.open(optionsFor(device, image)), { code: 'ERR_TARGET_FOREIGN' })
  const disk = await TargetDisk.open(optionsFor(device, image, { force: true }))
  await placeAll(disk, image)
  await disk.finish()
  await disk.close()
  t.true((await readFile(device)).subarray(0, image.size).equals(image.bytes))
})

test.serial('a device without room behind the image needs --metadata', async t => {
  const device = await newDevice(t, Math.ceil(image.size / 4096) * 4096 + 8192)
  await t.throwsAsync(TargetDisk.open(optionsFor(device, image)), {
    code: 'ERR_TARGET_TOO_SMALL',
    message: /bytes more/
  })
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const disk = await TargetDisk.open(optionsFor(device, image, { metadataPath, labKey }))
  await placeAll(disk, image)
  await disk.close()
})

/** Closed, complete and verified. */
async function completed(t: ExecutionContext): Promise<string> {
  const path = await newTarget(t)
  const disk = await TargetDisk.open(optionsFor(path, image))
  await placeAll(disk, image)
  await disk.finish()
  await disk.markComplete()
  await disk.close()
  return path
}

/** Until its file system's clock has seen it. */
async function change(path: string, how: () => Promise<void>): Promise<void> {
  const { ctimeNs } = await stat(path, { bigint: true })
  do await how()
  while ((await stat(path, { bigint: true })).ctimeNs === ctimeNs)
}

/** Whether it opens as complete, and what a verification finds. */
async function reopened(
  path: string,
  mark = false,
  options: Partial<ReturnType<typeof optionsFor>> = {}
) {
  const disk = await TargetDisk.open(optionsFor(path, image, options))
  const isComplete = disk.markedComplete
  const { badChunks } = await disk.verify(image)
  if (mark) await disk.markComplete()
  await disk.close()
  return { isComplete, bad: badChunks.length }
}

test('a disk that is complete stays so, whatever the machine writes', async t => {
  const path = await completed(t)
  t.like(await reopened(path), { isComplete: true })
  const disk = await TargetDisk.open(optionsFor(path, image))
  await change(path, () => disk.write(0, noise(16384)))
  await disk.close()
  t.like(await reopened(path), { isComplete: true })
})

test('a file that others wrote into, replaced or copied is not believed to be complete', async t => {
  const path = await completed(t)
  await change(path, () => overwrite(path, 5000, Buffer.from('rotten')))
  t.deepEqual(await reopened(path), { isComplete: false, bad: 1 })
  t.deepEqual(await reopened(path), { isComplete: false, bad: 1 }, 'not at the next start either')

  await rm(path)
  await writeFile(path, '')
  await truncate(path, image.size)
  t.deepEqual(await reopened(path), { isComplete: false, bad: 10 })

  const [whole, copy] = [await completed(t), await newTarget(t)]
  for (const end of ['', '.bootswarm']) await copyFile(`${whole}${end}`, `${copy}${end}`)
  t.deepEqual(await reopened(copy, true), { isComplete: false, bad: 0 }, 'a copy is verified')
  t.deepEqual(await reopened(copy), { isComplete: true, bad: 0 }, 'once')
})

test('what an earlier version left as complete is verified once more', async t => {
  const path = await completed(t)
  const side = await readFile(`${path}.bootswarm`)
  const reading = decodeSuperblock(side.subarray(0, pageBytes))
  if (reading.kind !== 'intact') return t.fail()
  const generation = reading.superblock.generation + 1
  const former = encodeSuperblock({ ...reading.superblock, generation, targetMark: 0n })
  await overwrite(`${path}.bootswarm`, 0, former)
  t.deepEqual(await reopened(path, true), { isComplete: false, bad: 0 })
  t.deepEqual(await reopened(path), { isComplete: true, bad: 0 })
})

/** A complete device that its machine has written to, with its metadata elsewhere. */
async function usedDevice(t: ExecutionContext) {
  const path = await newDevice(t, Math.ceil(image.size / 4096) * 4096)
  const metadataPath = join(await temporaryDirectory(t), 'metadata')
  const disk = await TargetDisk.open(optionsFor(path, image, { metadataPath }))
  await placeAll(disk, image)
  await disk.finish()
  await disk.markComplete()
  await disk.write(8192, noise(4096))
  return { path, metadataPath, disk }
}

test.serial('a device whose metadata lies elsewhere is not taken for another one', async t => {
  const make = async () => {
    const { path, metadataPath, disk } = await usedDevice(t)
    await disk.close()
    t.deepEqual(await reopened(path, false, { metadataPath }), { isComplete: true, bad: 0 })
    return { path, metadataPath }
  }
  const [first, { path }] = [await make(), await make()]
  const { metadataPath } = first
  const before = await readFile(path)
  const foreign = { code: 'ERR_TARGET_FOREIGN', message: new RegExp(metadataPath) }
  await t.throwsAsync(TargetDisk.open(optionsFor(path, image, { metadataPath })), foreign)
  t.true(before.equals(await readFile(path)), 'nothing was written')
  t.like(await reopened(first.path, false, { metadataPath }), { isComplete: true })

  const forced = await reopened(path, true, { metadataPath, force: true })
  t.false(forced.isComplete, 'it is verified again')
  t.like(await reopened(path, false, { metadataPath }), { isComplete: true })
})

test.serial('a device that was in use when its agent was killed is verified again', async t => {
  const { path, metadataPath, disk } = await usedDevice(t)
  await disk.flush()
  const killed = `${metadataPath}.killed`
  await copyFile(metadataPath, killed)
  await disk.close()
  const options = { metadataPath: killed }
  t.deepEqual(await reopened(path, true, options), { isComplete: false, bad: 0 })
  t.deepEqual(await reopened(path, false, options), { isComplete: true, bad: 0 })
})
