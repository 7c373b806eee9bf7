import test from 'ava'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { bulkNoise } from '../helpers/image-files.ts'
import { chunkBytes, MiB, noiseImage } from './images.ts'
import { Lab, lastObject, patienceMs, slowTicket, type LabAgent } from './lab.ts'

// One boot teaches the lab; the next one finds its bytes there.

const boot = [61, 3, 40, 17, 90, 5, 33, 72, 21, 54, 8, 80]

async function bootOnce(lab: Lab, image: string, name: string): Promise<LabAgent> {
  const agent = await lab.startAgent({ name, image, extra: ['--profile-after', '1'] })
  await agent.until('ready')
  const client = await agent.client()
  for (const position of boot) await client.read(position * chunkBytes + 4096, 4096)
  await agent.until('booted')
  return agent
}

async function boots(lab: Lab, image: string): Promise<unknown> {
  const { code, stdout, stderr } = await lab.run(
    'image',
    'show',
    image,
    '--store',
    lab.store,
    '--json'
  )
  if (code !== 0) throw new Error(stderr)
  return lastObject(stdout).boots
}

async function knownBoots(lab: Lab, image: string): Promise<unknown> {
  const until = Date.now() + patienceMs
  // The report is on its way for a moment after the machine has said so.
  while ((await boots(lab, image)) === undefined && Date.now() < until) await sleep(100)
  return boots(lab, image)
}

test('the second boot has what the first one read before it reads, and the next version too', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 24)
  await lab.importImage(path, 'lab:1')
  const seed = await lab.startSeed()
  t.is(await boots(lab, 'lab:1'), undefined)
  const first = await bootOnce(lab, 'lab:1', 'a')
  t.false(first.has('foreseen'), 'nothing was known')
  t.deepEqual(await knownBoots(lab, 'lab:1'), {
    reports: 1,
    chunks: boot.length,
    bytes: boot.length * chunkBytes
  })
  await first.process.stop()

  const ticket = await slowTicket(t, await lab.ticket(), 2 * MiB)
  const second = await lab.startAgent({ name: 'b', image: 'lab:1', ticket })
  t.like(await second.until('foreseen'), { chunks: boot.length, reports: 1 })
  const isThere = (disk: Buffer, position: number): boolean => {
    const at = position * chunkBytes
    return disk.subarray(at, at + chunkBytes).equals(bytes.subarray(at, at + chunkBytes))
  }
  const until = Date.now() + patienceMs
  let disk = await second.read()
  while (!boot.every(position => isThere(disk, position)) && Date.now() < until) {
    await sleep(20)
    disk = await second.read()
  }
  t.true(boot.every(position => isThere(disk, position)))
  const others = Array.from({ length: 192 }, (_, n) => n).filter(n => !boot.includes(n))
  const early = others.filter(position => isThere(disk, position)).length
  t.true(early < others.length / 2, `${early} of ${others.length} others were there as soon`)
  await second.process.stop()

  // Another version: one chunk that is booted has changed, and one has moved.
  const next = Buffer.from(bytes)
  bulkNoise(chunkBytes, 77).copy(next, 3 * chunkBytes)
  bytes.copy(next, 100 * chunkBytes, 61 * chunkBytes, 62 * chunkBytes)
  bulkNoise(chunkBytes, 78).copy(next, 61 * chunkBytes)
  await writeFile(lab.path('next'), next)
  await lab.importImage(lab.path('next'), 'lab:2')
  t.like(await boots(lab, 'lab:2'), { reports: 1, chunks: boot.length })
  const third = await lab.startAgent({ name: 'c', image: 'lab:2' })
  t.like(await third.until('foreseen'), { chunks: boot.length })
  await third.process.stop()
  await seed.stop()
})

test('--profile-after never reports nothing, and nonsense is a usage error', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const agent = await lab.startAgent({ name: 'a', extra: ['--profile-after', 'never'] })
  await agent.until('complete')
  const client = await agent.client()
  await client.read(0, 4096)
  await agent.process.stop()
  t.false(agent.has('booted'))
  const { code, stderr } = await lab.run(
    ...['agent', '--ticket', await lab.ticket(), '--image', 'lab', '--disk', lab.path('b')],
    ...['--nbd', `unix:${lab.path('b.sock')}`, '--profile-after', 'soon']
  )
  t.is(code, 2, stderr)
  t.regex(stderr, /--profile-after soon/)
})
