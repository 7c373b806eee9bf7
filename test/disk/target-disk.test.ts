import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { chunkIdOf, decodeFrame, encodeFrame, plainFrame } from '../../src/image/index.ts'
import { noise, optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'
import type { SampleImage } from './samples.ts'

const chunkSize = 16384
const image = sampleImage(1, 6 * chunkSize + 4096 + 512, { zeroChunks: [2] })

async function servedPlain(disk: TargetDisk, position: number): Promise<Uint8Array | undefined> {
  const served = await disk.pristine(position)
  if (served === undefined) return undefined
  return 'plain' in served ? served.plain : decodeFrame(served.frame, chunkSize)
}

function verdictOf(disk: TargetDisk, from: SampleImage): Promise<readonly number[]> {
  return disk.verify(from).then(({ badChunks }) => badChunks)
}

test('a read waits for its blocks, asks once, and what is there is read at once', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  const early = disk.read(100, 8000)
  const second = disk.read(4096, 512)
  t.deepEqual(options.needs.asked, [{ position: 0, why: 'read' }])
  await disk.write(8192, Buffer.alloc(4096, 5))
  t.deepEqual(Buffer.from(await disk.read(8192, 4096)), Buffer.alloc(4096, 5))
  t.true(await disk.place(0, image.chunk(0)))
  t.deepEqual(Buffer.from(await early), image.bytes.subarray(100, 8100))
  t.deepEqual(Buffer.from(await second), image.bytes.subarray(4096, 4608))
  t.deepEqual(options.needs.needless, [])
  t.false(await disk.place(0, image.chunk(0)))
  await disk.close()
})

test('what is read without waiting is what is here, in memory, and not zeros by the manifest', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  const into = Buffer.alloc(5000)
  t.false(disk.readNow(100, into), 'it is missing')
  t.deepEqual(options.needs.asked, [])
  await placeAll(disk, image)
  t.true(disk.readNow(100, into))
  t.true(image.bytes.subarray(100, 5100).equals(into))
  t.false(disk.readNow(2 * chunkSize - 10, into), 'a part of it is zeros: who asks shall be told')
  await disk.write(2 * chunkSize, Buffer.alloc(8192, 8))
  t.true(disk.readNow(2 * chunkSize, into))
  t.true(Buffer.alloc(5000, 8).equals(into))
  await disk.close()
  t.false(disk.readNow(100, into))
})

test('what is to be there soon is asked for as a read asks, and known when it is there', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  let isThere = false
  const arrival = disk.prefetch(chunkSize - 512, 1024).then(() => (isThere = true))
  t.deepEqual(options.needs.asked, [
    { position: 0, why: 'read' },
    { position: 1, why: 'read' }
  ])
  await disk.place(1, image.chunk(1))
  await disk.flush()
  t.false(isThere, 'half of it is missing')
  await disk.place(0, image.chunk(0))
  t.true(await arrival)
  await disk.prefetch(0, 2 * chunkSize)
  t.is(options.needs.asked.length, 2, 'what is here is not asked for')
  await disk.close()
})

test('a read over several chunks asks for all of them, and an abandoned one is called off', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  const abandon = new AbortController()
  const reason = new Error('the client has gone')
  const first = disk.read(0, 2 * chunkSize, abandon.signal)
  const second = disk.read(0, 512)
  t.deepEqual(
    options.needs.asked.map(({ position }) => position),
    [0, 1]
  )
  abandon.abort(reason)
  t.is(await t.throwsAsync(first), reason)
  t.deepEqual(options.needs.needless, [1])
  await disk.place(0, image.chunk(0))
  await second
  await disk.close()
})

test('a zero chunk reads as zeros at once, also over foreign bytes, and becomes so', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  await writeFile(path, Buffer.alloc(image.size + 1000, 0xee))
  const disk = await TargetDisk.open(optionsFor(path, image, { force: true }))
  const waiting = disk.read(2 * chunkSize, 512)
  disk.placeZero(2)
  t.deepEqual(Buffer.from(await waiting), Buffer.alloc(512))
  await disk.write(2 * chunkSize + 100, Buffer.alloc(10, 1))
  await placeAll(disk, image)
  t.true(disk.complete)
  await disk.finish()
  t.deepEqual(await verdictOf(disk, image), [])
  await disk.close()
  const bytes = await readFile(path)
  const expected = Buffer.concat([image.bytes, Buffer.alloc(1000, 0xee)])
  expected.fill(1, 2 * chunkSize + 100, 2 * chunkSize + 110)
  t.true(bytes.equals(expected))
})

test('part of a missing block waits for the chunk, a whole block does not', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  const partial = disk.write(100, Buffer.alloc(200, 3))
  t.deepEqual(options.needs.asked, [{ position: 0, why: 'write' }])
  // The last block is short: to write it up to the end is to write all of it.
  await disk.write(image.size - 512, Buffer.alloc(512, 4))
  t.deepEqual(options.needs.asked.slice(1), [{ position: 6, why: 'aside' }])
  await disk.place(0, image.chunk(0))
  await partial
  const expected = Buffer.from(image.bytes.subarray(0, 4096))
  expected.fill(3, 100, 300)
  t.deepEqual(Buffer.from(await disk.read(0, 4096)), expected)
  await disk.close()
})

test('a chunk that comes after the machine wrote into it leaves the write alone, and is put aside', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  await disk.write(chunkSize, Buffer.alloc(chunkSize, 9))
  t.true(disk.needs(1), 'all its blocks are the machine’s, but peers need the pristine chunk')
  t.false(disk.servable(1))
  const frame = await encodeFrame(image.chunk(1))
  t.true(await disk.place(1, image.chunk(1), frame))
  t.false(disk.needs(1))
  t.deepEqual(options.needs.servable, [1])
  t.true(image.chunk(1).equals((await servedPlain(disk, 1)) ?? Buffer.alloc(0)))
  t.deepEqual(Buffer.from(await disk.read(chunkSize, chunkSize)), Buffer.alloc(chunkSize, 9))
  await disk.close()
})

test('before the first write into a present chunk it is put aside, and served after a restart', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const first = await TargetDisk.open(optionsFor(path, image))
  await placeAll(first, image)
  await Promise.all([
    first.write(0, Buffer.alloc(512, 1)),
    first.write(8192, Buffer.alloc(4096, 2)),
    first.write(2 * chunkSize, Buffer.alloc(4096, 3))
  ])
  t.is(chunkIdOf((await servedPlain(first, 0)) ?? Buffer.alloc(0)), image.chunkIdAt(0))
  t.deepEqual(await servedPlain(first, 2), new Uint8Array(chunkSize))
  await first.close()

  const second = await TargetDisk.open(optionsFor(path, image))
  t.true(second.complete)
  t.is(chunkIdOf((await servedPlain(second, 0)) ?? Buffer.alloc(0)), image.chunkIdAt(0))
  t.is(second.progress().machineWrittenBytes, 3 * 4096)
  t.is(Buffer.from(second.bitfield()).toString('hex'), 'fe')
  await second.finish()
  const report = await second.verify(image)
  t.deepEqual(report, {
    verifiedBytes: image.size - 3 * 4096,
    machineWrittenBytes: 3 * 4096,
    unverifiableBytes: 0,
    badChunks: []
  })
  await second.close()
})

test('two machines that wrote into the same chunk can both still give it', async t => {
  const directory = await temporaryDirectory(t)
  const disks = await Promise.all(
    ['a', 'b'].map(name => TargetDisk.open(optionsFor(join(directory, name), image)))
  )
  for (const [index, disk] of disks.entries()) {
    // One writes before the chunk comes, the other after.
    if (index === 0) await disk.write(3 * chunkSize, noise(4096))
    await disk.place(3, image.chunk(3))
    if (index === 1) await disk.write(3 * chunkSize + 4096, noise(4096))
    const plain = await servedPlain(disk, 3)
    t.true(plain !== undefined && image.chunk(3).equals(plain))
    await disk.close()
  }
})

test('when there is no room to put chunks aside that is counted, and they are withdrawn', async t => {
  const size = limits.asideBytesMax + 4 * 1024 * 1024
  const large = { ...sampleImage(2, chunkSize), size, chunkCount: size / 4_194_304 }
  const layout = { ...large, chunkSize: 4_194_304 }
  const path = join(await temporaryDirectory(t), 'disk')
  const withdrawn: number[] = []
  const options = { onWithdrawn: (position: number) => withdrawn.push(position) }
  const disk = await TargetDisk.open(optionsFor(path, layout, options))
  // Random bytes do not compress: sixteen fill the area.
  const plain = noise(layout.chunkSize)
  for (let position = 0; position < layout.chunkCount; position++) {
    await disk.place(position, plain)
    await disk.write(position * layout.chunkSize, Buffer.alloc(4096))
  }
  // Chunks are put aside behind the machine's writes.
  await disk.finish()
  t.is(disk.progress().asideBytes, limits.asideBytesMax)
  t.is(disk.progress().asideGivenUp, layout.chunkCount - 16)
  t.deepEqual(withdrawn, [16])
  t.is(await disk.pristine(16), undefined)
  t.true(disk.complete)
  await disk.close()
})

test('a disk that rotted is found bad, and a chunk that is distrusted is fetched again', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  await placeAll(disk, image)
  await disk.finish()
  const handle = await open(path, 'r+')
  await handle.write(Buffer.from([1, 2, 3]), 0, 3, 4 * chunkSize + 5000)
  await handle.close()
  t.deepEqual(await verdictOf(disk, image), [4])
  await disk.distrust(4)
  t.true(disk.needs(4))
  t.false(disk.servable(4))
  await disk.place(4, image.chunk(4))
  t.deepEqual(await verdictOf(disk, image), [])
  await disk.close()
})

test('a frame put aside that is damaged is fetched again, and one that is wrong is found bad', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  await disk.write(0, Buffer.alloc(4096, 1))
  await disk.write(chunkSize, Buffer.alloc(4096, 1))
  await disk.place(0, image.chunk(0), plainFrame(noise(chunkSize)))
  await disk.place(1, image.chunk(1))
  await placeAll(disk, image)
  const side = await readFile(`${path}.bootswarm`)
  const asideFrame = side.indexOf(image.chunk(1))
  t.true(asideFrame > 0, 'noise is put aside plain')
  const handle = await open(`${path}.bootswarm`, 'r+')
  await handle.write(Buffer.from([1, 2, 3]), 0, 3, asideFrame + 100)
  await handle.close()

  t.is(await disk.pristine(1), undefined)
  t.true(disk.needs(1))
  t.false(disk.servable(1))
  t.true(await disk.place(1, image.chunk(1)))
  t.deepEqual(await verdictOf(disk, image), [0])
  await disk.distrust(0)
  t.true(disk.needs(0))
  await disk.place(0, image.chunk(0))
  t.deepEqual(await verdictOf(disk, image), [])
  t.deepEqual(Buffer.from(await disk.read(0, 4096)), Buffer.alloc(4096, 1))
  await disk.close()
})

test('closing turns away who waits', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  const waiting = disk.read(0, 512)
  await Promise.all([t.throwsAsync(waiting, { code: 'ERR_STOPPED' }), disk.close(), disk.close()])
  await t.throwsAsync(disk.read(0, 512), { code: 'ERR_STOPPED' })
})

test('a chunk of the wrong length is a defect, not data', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  await t.throwsAsync(disk.place(0, Buffer.alloc(100)), { code: 'ERR_INTERNAL' })
  t.true(disk.needs(0))
  await disk.close()
})

test('identity and completion are durable, and can be read without opening', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  t.is(await TargetDisk.peek(path), undefined)
  const disk = await TargetDisk.open(optionsFor(path, image))
  for (let version = 0; version < 3; version++)
    await disk.setIdentity(Buffer.alloc(60_000, version))
  await t.throwsAsync(disk.setIdentity(Buffer.alloc(limits.identityBytesMax + 1)), {
    code: 'ERR_INTERNAL'
  })
  await disk.markComplete()
  const peeked = await TargetDisk.peek(path)
  t.is(peeked?.image.imageId, image.imageId)
  t.is(peeked?.image.chunkCount, image.chunkCount)
  t.true(peeked?.complete)
  t.deepEqual(Buffer.from(peeked?.identity ?? []), Buffer.alloc(60_000, 2))
  await disk.close()
  const again = await TargetDisk.open(optionsFor(path, image))
  t.true(again.markedComplete)
  t.deepEqual(Buffer.from(again.identity() ?? []), Buffer.alloc(60_000, 2))
  await again.close()
})
