import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, open, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { openImageFile } from '../../src/image/image-file.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const KiB = 1024

test('an image has its size and reads back', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  const bytes = Buffer.alloc(3 * 512, 'abc')
  await writeFile(path, bytes)
  await symlink(path, `${path}-link`)
  for (const name of [path, `${path}-link`]) {
    const file = await openImageFile(name)
    t.is(file.size, bytes.length)
    const piece = await file.read(0, file.size)
    t.deepEqual(piece.bytes, bytes)
    file.release(piece)
    t.deepEqual((await file.read(512, 512)).bytes, bytes.subarray(512, 1024))
    await file.assertUnchanged()
    await file.close()
  }
})

test('what is no raw image is refused, each with its own code', async t => {
  const directory = await temporaryDirectory(t)
  const path = (name: string) => join(directory, name)
  await mkdir(path('directory'))
  execFileSync('mkfifo', [path('pipe')])
  await writeFile(path('empty'), '')
  await writeFile(path('odd'), Buffer.alloc(513))
  await rejectsWith(t, 'ERR_FILE_MISSING', openImageFile(path('missing')))
  await rejectsWith(t, 'ERR_FILE_MISSING', openImageFile(path('odd/below')))
  await rejectsWith(t, 'ERR_IMAGE_KIND', openImageFile(path('directory')))
  await rejectsWith(t, 'ERR_IMAGE_KIND', openImageFile(path('pipe')))
  await rejectsWith(t, 'ERR_IMAGE_KIND', openImageFile('/dev/null'))
  await rejectsWith(t, 'ERR_IMAGE_EMPTY', openImageFile(path('empty')))
  await rejectsWith(t, 'ERR_IMAGE_SIZE', openImageFile(path('odd')))
})

for (const format of ['qcow2', 'vmdk', 'vhdx', 'vdi']) {
  test(`a ${format} disk as qemu-img makes it is refused with the way out`, async t => {
    const path = join(await temporaryDirectory(t), `disk.${format}`)
    execFileSync('qemu-img', ['create', '-q', '-f', format, path, '1M'])
    const error = await rejectsWith(t, 'ERR_IMAGE_KIND', openImageFile(path))
    t.regex(error.message, /qemu-img convert/)
  })
}

test('a compressed image is refused', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, Buffer.alloc(4096))
  for (const [program, suffix] of [
    ['gzip', 'gz'],
    ['xz', 'xz']
  ] as const) {
    execFileSync(program, ['-k', path])
    await rejectsWith(t, 'ERR_IMAGE_KIND', openImageFile(`${path}.${suffix}`))
  }
})

test('a file that changes while it is open is noticed', async t => {
  const path = join(await temporaryDirectory(t), 'image')
  await writeFile(path, Buffer.alloc(4096))

  const grown = await openImageFile(path)
  await appendFile(path, Buffer.alloc(512))
  await rejectsWith(t, 'ERR_IMAGE_CHANGED', grown.assertUnchanged())
  await grown.close()

  const touched = await openImageFile(path)
  await utimes(path, 1, 1)
  await rejectsWith(t, 'ERR_IMAGE_CHANGED', touched.assertUnchanged())
  await touched.close()

  const cut = await openImageFile(path)
  await truncate(path, 512)
  await rejectsWith(t, 'ERR_IMAGE_CHANGED', cut.read(0, 4096))
  await cut.close()
})

test('holes are not among the ranges to read, and no data is left out', async t => {
  const directory = await temporaryDirectory(t)
  const blocks = fc.uniqueArray(fc.nat(63), { maxLength: 8 })
  let run = 0
  await fc.assert(
    fc.asyncProperty(blocks, fc.constantFrom(16, 32, 64), async (written, unitKiB) => {
      const path = join(directory, `sparse-${run++}`)
      const handle = await open(path, 'w')
      const block = 16 * KiB
      await handle.truncate(64 * block + 512)
      for (const at of written) await handle.write(Buffer.alloc(block, 1), 0, block, at * block)
      await handle.close()

      const unit = unitKiB * KiB
      const file = await openImageFile(path)
      const covered = new Set<number>()
      let end = 0
      for (const { offset, length } of file.dataRanges(unit, 2 * unit)) {
        t.is(offset % unit, 0)
        t.true(offset >= end && length > 0 && length <= 2 * unit)
        end = offset + length
        t.true(end % unit === 0 || end === file.size)
        for (let at = offset; at < end; at += block) covered.add(at / block)
      }
      await file.close()
      for (const at of written) t.true(covered.has(at))
      const perUnit = unit / block
      const units = new Set(written.map(at => Math.floor(at / perUnit)))
      t.true(covered.size <= (units.size + 1) * perUnit)
    }),
    { numRuns: 30 }
  )
})
