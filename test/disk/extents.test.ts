import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { TargetDisk } from '../../src/disk/index.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const chunkSize = 16384
const image = sampleImage(3, 6 * chunkSize + 4096 + 512, { zeroChunks: [1, 2] })

/** One letter a block: r(emote), l(ocal), z(ero, promised), Z(ero on the disk), w(ritten). */
async function mapOf(disk: TargetDisk, offset = 0, length = image.size): Promise<string> {
  const letters: string[] = []
  for (let at = offset; at < offset + length;) {
    const runs = await disk.extents(at, offset + length - at)
    for (const { length: bytes, zero, hole, presence } of runs) {
      const letter = zero ? (hole ? 'z' : 'Z') : presence.slice(0, 1)
      letters.push(letter.repeat(Math.ceil(bytes / 4096)))
      at += bytes
    }
  }
  return letters.join('')
}

test('extents: what is missing, promised, here, and written', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  t.is(await mapOf(disk), 'rrrr' + 'rrrr'.repeat(5) + 'rr')
  disk.placeZero(1)
  disk.placeZero(2)
  await disk.place(0, image.chunk(0))
  await disk.write(4096, Buffer.alloc(4096, 1))
  await disk.write(5 * chunkSize, Buffer.alloc(8192, 1))
  await disk.write(2 * chunkSize + 4096, Buffer.alloc(4096, 1))
  t.is(await mapOf(disk), 'lwll' + 'zzzz' + 'zwzz' + 'rrrr'.repeat(2) + 'wwrr' + 'rr')
  await placeAll(disk, image)
  await disk.finish()
  t.is(await mapOf(disk), 'lwll' + 'ZZZZ' + 'ZwZZ' + 'llll'.repeat(2) + 'wwll' + 'll')
  await disk.close()
})

test('extents: any range is covered from its start to its end', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const disk = await TargetDisk.open(optionsFor(path, image))
  disk.placeZero(1)
  await disk.write(4096, Buffer.alloc(4096, 1))
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: image.size - 1 }),
      fc.integer({ min: 1, max: 60_000 }),
      async (offset, wanted) => {
        const length = Math.min(wanted, image.size - offset)
        const runs = await disk.extents(offset, length)
        const covered = runs.reduce((sum, run) => sum + run.length, 0)
        return covered === length && runs.every(run => run.length > 0)
      }
    )
  )
  await disk.close()
  t.pass()
})

test('prefetch asks as a read does, resolves when it is there, and can be called off', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const options = optionsFor(path, image)
  const disk = await TargetDisk.open(options)
  const abandon = new AbortController()
  const near = disk.prefetch(0, chunkSize)
  const far = disk.prefetch(3 * chunkSize, 1, abandon.signal)
  t.deepEqual(options.needs.asked, [
    { position: 0, why: 'read' },
    { position: 3, why: 'read' }
  ])
  await disk.place(0, image.chunk(0))
  await near
  abandon.abort(new Error('gone'))
  await t.throwsAsync(far, { message: 'gone' })
  t.deepEqual(options.needs.needless, [3])
  await disk.prefetch(0, chunkSize)
  await disk.close()
})
