import { open, readFile } from 'node:fs/promises'
import test from 'ava'
import { bulkNoise, fileDigest } from '../helpers/image-files.ts'
import type { RunningProcess } from '../helpers/process.ts'
import { Lab } from './lab.ts'
import { chunkBytes, MiB } from './images.ts'

const residentBytesMax = 200e6
const GiB = 1024 * MiB

/** 4 GiB, with 150 MiB that do not compress and 150 MiB that do, spread over the whole of it. */
async function sparseImage(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(4 * GiB)
  for (let part = 0; part < 75; part += 1) {
    const noise = bulkNoise(2 * MiB, part)
    await file.write(noise, 0, noise.length, part * 50 * MiB)
    const text = Buffer.from(noise.subarray(0, MiB).toString('hex'))
    await file.write(text, 0, text.length, part * 50 * MiB + 8 * MiB)
  }
}

/** The most that a process has had resident since it started, and what of it is not files. */
async function residentBytes({
  pid
}: RunningProcess): Promise<{ peak: number; anonymous: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytesOf = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  return { peak: bytesOf('VmHWM'), anonymous: bytesOf('RssAnon') }
}

test('seed and agents stay below 200 MB resident while they stream 4 GiB', async t => {
  t.timeout(400_000)
  const lab = await Lab.make(t)
  const image = lab.path('image')
  await sparseImage(image)
  await lab.importImage(image, 'lab')
  const seed = await lab.startSeed()
  const agents = [await lab.startAgent({ name: 'first' }), await lab.startAgent({ name: 'second' })]
  await Promise.all(
    agents.map(async agent => {
      await agent.until('ready')
      const client = await agent.client()
      // A machine that reads large pieces all over its disk meanwhile.
      for (let offset = 0; offset < 4 * GiB; offset += 32 * MiB) {
        await client.read(offset, 16 * chunkBytes)
      }
      await agent.process.waitForEvent('complete', { timeoutMs: 300_000 })
    })
  )
  for (const [name, process] of [
    ['seed', seed],
    ...agents.map(agent => ['agent', agent.process] as const)
  ] as const) {
    const { peak, anonymous } = await residentBytes(process)
    t.log(
      `${name}: at most ${inMegabytes(peak)} resident; ${inMegabytes(anonymous)} anonymous at the end`
    )
    t.true(peak > 0 && peak < residentBytesMax, `${name}: ${inMegabytes(peak)}`)
  }
  const expected = await fileDigest(image)
  for (const agent of agents) t.is(await fileDigest(agent.disk), expected)
})

function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
