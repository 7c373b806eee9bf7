import { truncate, writeFile } from 'node:fs/promises'
import test from 'ava'
import { chunkBytes, MiB, noiseImage } from './images.ts'
import { Lab } from './lab.ts'

// A machine that has an image is given another one: what its disk holds is not sent again.

const chunk = (bytes: Buffer, position: number): Buffer =>
  bytes.subarray(position * chunkBytes, (position + 1) * chunkBytes)

/** Chunks that lie where they lay, others that have changed places in circles, and a few new ones. */
function nextVersion(bytes: Buffer, fresh: Buffer, size: number): Buffer {
  const next = Buffer.alloc(size)
  bytes.copy(next)
  const places = [3, 9, 20, 4, 31, 50]
  for (const [index, place] of places.entries()) {
    chunk(bytes, place).copy(next, (places[(index + 1) % places.length] ?? 0) * chunkBytes)
  }
  fresh.copy(next, 10 * chunkBytes, 0, 4 * chunkBytes)
  return next
}

for (const [kind, sizeMiB] of [
  ['as large', 0],
  ['larger', 2],
  ['smaller', -3]
] as const) {
  test(`an image that is ${kind}: only what is new is fetched`, async t => {
    const lab = await Lab.make(t)
    const { path, bytes } = await noiseImage(lab.path('image'), 12)
    await lab.importImage(path, 'lab')
    const { bytes: fresh } = await noiseImage(lab.path('fresh'), 3)
    await lab.startSeed()
    const first = await lab.startAgent({ name: 'a' })
    await first.until('ready')
    const client = await first.client()
    await client.write(5 * MiB, Buffer.alloc(8192, 'of the machine'))
    await client.flush()
    await first.until('complete')
    await first.process.stop()

    const next = nextVersion(bytes, fresh, bytes.length + sizeMiB * MiB)
    const nextPath = lab.path('next')
    await writeFile(nextPath, next)
    await lab.importImage(nextPath, 'lab')
    const second = await lab.startAgent({
      name: 'a',
      extra: ['--redeploy', '--until', 'complete']
    })
    const complete = await second.until('complete')
    await second.until('stopped')
    t.true(next.equals(await second.read()))
    const received = Number(complete.bytesFromSeed) + Number(complete.bytesFromPeers)
    t.true(received <= 4 * chunkBytes * 1.05, `${received} bytes for four new chunks`)
    t.true(
      Number(complete.bytesLocal) >=
        next.length - 8 * chunkBytes - 4 * MiB - Math.max(0, sizeMiB) * MiB
    )
  })
}

test('a complete disk that is asked for another name says so before --until complete ends', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  const { cid } = await lab.importImage(path, 'lab')
  const other = await noiseImage(lab.path('other'), 2)
  const { cid: otherCid } = await lab.importImage(other.path, 'other')
  await lab.startSeed()
  const ask = async (image: string) => {
    const agent = await lab.startAgent({ name: 'a', image, extra: ['--until', 'complete'] })
    t.deepEqual(await agent.process.exited, { code: 0, signal: null })
    return agent
  }
  const same = await ask('lab')
  t.false(same.has('newer') || same.has('unknown'))
  const another = await ask('other')
  t.like(await another.until('newer'), { name: 'other:latest', image: otherCid })
  const none = await ask('nonsense:9')
  t.like(await none.until('unknown'), { name: 'nonsense:9', image: cid })
})

test('--force --scan uses again what a disk without metadata holds', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 12)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const used = Buffer.from(bytes)
  used.fill('x', 2 * MiB, 2 * MiB + 100)
  chunk(bytes, 30).copy(used, 40 * chunkBytes)
  await writeFile(lab.path('a.disk'), used)
  const refused = await lab.startAgent({ name: 'a' })
  t.is((await refused.until('error')).code, 'ERR_TARGET_FOREIGN')
  const agent = await lab.startAgent({
    name: 'a',
    extra: ['--force', '--scan', '--until', 'complete']
  })
  const complete = await agent.until('complete')
  await agent.until('stopped')
  t.true(agent.has('scanning'))
  t.true(bytes.equals(await agent.read()))
  t.true(
    Number(complete.bytesFromSeed) <= 2.1 * chunkBytes,
    `${String(complete.bytesFromSeed)} bytes`
  )

  // The metadata is lost: everything that the machine has is found again.
  await truncate(lab.path('a.disk.bootswarm'), 4096)
  const again = await lab.startAgent({ name: 'a', extra: ['--force', '--scan'] })
  const { bytesFromSeed } = await again.until('complete')
  t.is(bytesFromSeed, 0)
})
