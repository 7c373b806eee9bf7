import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { SeedStatus } from '../../src/control/index.ts'
import { startBootswarm } from '../helpers/process.ts'
import { Lab, patienceMs } from '../product/lab.ts'

test('--watch outlives a restart of the seed, and says that it does not answer once', async t => {
  const lab = await Lab.make(t)
  const first = await lab.startSeed()
  const watch = startBootswarm(t, ['status', '--store', lab.store, '--watch', '--json'])
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const deadline = Date.now() + patienceMs
    while (!holds() && Date.now() < deadline) await sleep(50)
    t.true(holds(), `${what}\n${watch.lines.join('\n')}\n${watch.stderr()}`)
  }
  await until('it tells of the first', () => watch.lines.length > 0)
  await first.stop()
  await until('it says that none answers', () => watch.stderr() !== '')
  const toldBefore = watch.lines.length
  await lab.startSeed()
  await until('it tells of the second', () => watch.lines.length > toldBefore)
  t.is(watch.stderr(), 'the seed does not answer any more; this goes on when it does\n')
  for (const line of watch.lines) t.truthy((JSON.parse(line) as SeedStatus).seed.peerId)
  t.deepEqual(await watch.stop(), { code: 0, signal: null })
})
