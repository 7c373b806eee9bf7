import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import test from 'ava'
import { differingBlocks } from './disks.ts'
import { buildDebianImage } from './image.ts'

async function hash(file: string): Promise<string> {
  const sha256 = createHash('sha256')
  await pipeline(createReadStream(file), sha256)
  return sha256.digest('hex')
}

test('the same root file system makes the same image', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-image-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const [first, second] = [join(directory, 'first'), join(directory, 'second')]
  await mkdir(first)
  await mkdir(second)
  const images = [await buildDebianImage(first), await buildDebianImage(second)] as const
  t.deepEqual(await differingBlocks(images[0].disk, images[1].disk), [])
  t.is(await hash(images[0].initrd), await hash(images[1].initrd))
})
