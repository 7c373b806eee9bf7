import { access } from 'node:fs/promises'
import test from 'ava'
import { MiB, noiseImage } from './images.ts'
import { Lab } from './lab.ts'

// --writes discard: a classroom whose machines are as new each morning.

test('each start shows the pristine image; the mode is pinned, and --redeploy changes it', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const discard = ['--writes', 'discard']

  const first = await lab.startAgent({ name: 'a', extra: discard })
  await first.until('ready')
  const client = await first.client()
  const data = Buffer.alloc(10_000, 'of a pupil')
  await client.write(2 * MiB - 777, data)
  await client.flush()
  t.true(data.equals(await client.read(2 * MiB - 777, data.length)))
  const complete = await first.until('complete')
  t.is(complete.machineWrittenBytes, 0)
  await first.process.kill()

  const second = await lab.startAgent({ name: 'a', extra: discard })
  await second.until('ready')
  const again = await second.client()
  t.true(bytes.equals(await again.read(0, bytes.length)))
  t.is((await second.until('complete')).bytesFromSeed, 0)
  t.deepEqual(await second.process.stop(), { code: 0, signal: null })
  t.true(bytes.equals(await second.read()))

  const refused = await lab.startAgent({ name: 'a' })
  const { code, message } = await refused.until('error')
  t.is(code, 'ERR_TARGET_FOREIGN')
  t.regex(String(message), /--writes discard.*--redeploy/)

  const kept = await lab.startAgent({ name: 'a', extra: ['--redeploy'] })
  await kept.until('complete')
  const keeper = await kept.client()
  await keeper.write(MiB, data)
  await kept.process.stop()
  t.true(data.equals((await kept.read()).subarray(MiB, MiB + data.length)))

  // Back again: what the machine kept meanwhile is not the image's.
  const back = await lab.startAgent({ name: 'a', extra: [...discard, '--redeploy'] })
  await back.until('complete')
  t.true(bytes.equals(await back.read()))
  await t.notThrowsAsync(access(lab.path('a.disk.bootswarm.overlay')))
})
