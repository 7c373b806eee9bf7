import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import test from 'ava'
import { differingBlocks } from './disks.ts'
import { buildImage, type Recipe } from './image.ts'

// Every recipe goes the same way to its root file system; the one with all the rest takes minutes more.
const recipes: Recipe[] =
  process.env['BOOTSWARM_BOOT'] === 'all' ? ['debian-12', 'debian-12-lvm'] : ['debian-12']

async function hash(file: string): Promise<string> {
  const sha256 = createHash('sha256')
  await pipeline(createReadStream(file), sha256)
  return sha256.digest('hex')
}

for (const recipe of recipes) {
  test(`the same root file system makes the same image: ${recipe}`, async t => {
    const directory = await mkdtemp(join(tmpdir(), 'bootswarm-image-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const [first, second] = [join(directory, 'first'), join(directory, 'second')]
    await mkdir(first)
    await mkdir(second)
    const images = [await buildImage(recipe, first), await buildImage(recipe, second)] as const
    t.deepEqual(await differingBlocks(images[0].disk, images[1].disk), [])
    t.is(await hash(images[0].initrd), await hash(images[1].initrd))
  })
}
