import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { chunksHeld, compareDisks } from '../../bench/lab/disks.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const chunkSize = 64 * 1024
const size = 12 * 1024 * 1024

/** A sparse file of 12 MiB with some bytes at some offsets. */
async function disk(
  t: ExecutionContext,
  name: string,
  contents: Readonly<Record<number, string>>
): Promise<string> {
  const path = join(await temporaryDirectory(t), name)
  await writeFile(path, '')
  await truncate(path, size)
  await using file = await open(path, 'r+')
  for (const [offset, text] of Object.entries(contents)) await file.write(text, Number(offset))
  return path
}

const contents = { 0: 'superblock', 5_000_000: 'a file', 12_582_911: '.' }

test('equal disks are equal, with zeros for holes too', async t => {
  const image = await disk(t, 'image', contents)
  const same = await disk(t, 'same', { ...contents, 8_000_000: '\0'.repeat(10_000) })
  t.deepEqual(await compareDisks(image, [same, image]), [undefined, undefined])
})

test('a disk that lacks, adds or changes a byte is found out', async t => {
  const image = await disk(t, 'image', contents)
  const wrong = await Promise.all([
    disk(t, 'lacks', { 0: 'superblock', 5_000_000: 'a file' }),
    disk(t, 'adds', { ...contents, 9_000_000: 'x' }),
    disk(t, 'changes', { ...contents, 5_000_000: 'A file' })
  ])
  const short = await disk(t, 'short', contents)
  await truncate(short, size - 512)
  for (const verdict of await compareDisks(image, [...wrong, short])) t.is(typeof verdict, 'string')
})

test('the chunks that a disk holds are those that are the image’s', async t => {
  const image = await disk(t, 'image', { 0: 'one', [chunkSize]: 'two', [2 * chunkSize]: 'three' })
  const half = await disk(t, 'half', { 0: 'one', [chunkSize]: 'TWO' })
  t.deepEqual(await chunksHeld(image, half, [0, 1, 2], chunkSize), new Set([0]))
})
