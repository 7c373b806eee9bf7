import { createHash } from 'node:crypto'
import { copyFile, open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { nextDataExtent } from '../../src/base/index.ts'
import { bootReads } from '../../src/demo/boot-reads.ts'
import type { ImageRead } from '../../src/demo/boot-reads.ts'
import { buildDemoImage } from '../../src/demo/build-image.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const KiB = 1024
const MiB = 1024 * KiB

const bytesOf = (reads: readonly ImageRead[]): number =>
  reads.reduce((sum, { length }) => sum + length, 0)

function overlaps(reads: readonly ImageRead[]): number {
  const sorted = reads.toSorted((a, b) => a.offset - b.offset)
  return sorted.filter((read, index) => {
    const before = sorted[index - 1]
    return before !== undefined && before.offset + before.length > read.offset
  }).length
}

test('of an ext4: its superblock and groups first, then 39 MB of its data, nothing twice', async t => {
  const workDir = await temporaryDirectory(t)
  const path = join(workDir, 'demo.img')
  const size = 160 * MiB
  await buildDemoImage({ path, workDir, sizeBytes: size })
  const reads = await bootReads(path)
  t.is(reads[0]?.offset, 0)
  t.true(bytesOf(reads) > 38 * MiB && bytesOf(reads) < 42 * MiB, `${bytesOf(reads)} bytes`)
  t.true(reads.every(({ offset, length }) => offset % (4 * KiB) === 0 && length % (4 * KiB) === 0))
  t.true(reads.every(({ length }) => length >= 4 * KiB && length <= 128 * KiB))
  t.true(reads.every(({ offset, length }) => offset + length <= size))
  t.is(overlaps(reads), 0)

  const { inodeTable } = await secondGroup(path)
  t.true(reads.slice(0, 20).some(({ offset }) => offset === inodeTable))

  // It is real data that is read: hardly a page of zeros, which no peer would have to send.
  const zeros = await zeroBytes(path, reads)
  t.true(zeros < bytesOf(reads) * 0.1, `${zeros} bytes of zeros`)

  const copy = join(workDir, 'copy.img')
  await copyFile(path, copy)
  t.is(fingerprint(await bootReads(path)), fingerprint(reads))
  t.is(fingerprint(await bootReads(copy)), fingerprint(reads))
})

async function secondGroup(path: string): Promise<{ inodeTable: number }> {
  const image = await open(path)
  try {
    const block = (await image.read(Buffer.alloc(4096), 0, 4096, 0)).buffer
    const blockBytes = 1024 << block.readUInt32LE(1024 + 0x18)
    const descriptorBytes = block.readUInt16LE(1024 + 0xfe)
    const table = await image.read(Buffer.alloc(256), 0, 256, blockBytes)
    return { inodeTable: table.buffer.readUInt32LE(descriptorBytes + 8) * blockBytes }
  } finally {
    await image.close()
  }
}

async function zeroBytes(path: string, reads: readonly ImageRead[]): Promise<number> {
  const image = await open(path)
  try {
    let bytes = 0
    for (const { offset, length } of reads) {
      const { buffer } = await image.read(Buffer.alloc(length), 0, length, offset)
      if (buffer.every(byte => byte === 0)) bytes += length
    }
    return bytes
  } finally {
    await image.close()
  }
}

function fingerprint(reads: readonly ImageRead[]): string {
  return createHash('sha256').update(JSON.stringify(reads)).digest('hex')
}

test('of anything else: its beginning, then its data, holes left out', async t => {
  const path = join(await temporaryDirectory(t), 'other.img')
  await writeFile(path, Buffer.alloc(1 * MiB, 'x'))
  await truncate(path, 64 * MiB)
  const reads = await bootReads(path)
  t.is(reads[0]?.offset, 0)
  t.is(overlaps(reads), 0)
  t.true(bytesOf(reads) > 256 * KiB && bytesOf(reads) <= 1 * MiB)
  const image = await open(path)
  t.teardown(() => image.close())
  const data = nextDataExtent(image.fd, 0, 64 * MiB)
  const end = data === undefined ? 0 : data.offset + data.length
  t.true(reads.every(({ offset, length }) => offset + length <= end))
})

test('a damaged superblock, a tiny image and one of holes only do no harm', async t => {
  const folder = await temporaryDirectory(t)
  const damaged = Buffer.alloc(256 * KiB, 0xff)
  damaged.writeUInt16LE(0xef53, 1024 + 0x38)
  await writeFile(join(folder, 'damaged.img'), damaged)
  await writeFile(join(folder, 'tiny.img'), Buffer.alloc(512, 1))
  await writeFile(join(folder, 'holes.img'), '')
  await truncate(join(folder, 'holes.img'), 8 * MiB)

  const ofDamaged = await bootReads(join(folder, 'damaged.img'))
  t.true(ofDamaged.every(({ offset, length }) => offset + length <= 256 * KiB))
  t.deepEqual(await bootReads(join(folder, 'tiny.img')), [{ offset: 0, length: 512 }])
  t.deepEqual(await bootReads(join(folder, 'holes.img')), [{ offset: 0, length: 64 * KiB }])
})
