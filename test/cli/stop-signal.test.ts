import { access } from 'node:fs/promises'
import test from 'ava'
import { launcherPath, startProgram } from '../helpers/process.ts'
import { MiB, noiseImage } from '../product/images.ts'
import { Lab, patienceMs, slowTicket } from '../product/lab.ts'

test('a closed terminal stops a seed and an agent as cleanly as SIGTERM does', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 12)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await slowTicket(t, await lab.ticket(), MiB)
  const agent = await lab.startAgent({ name: 'a', ticket })
  await agent.until('ready')
  for (const running of [agent.process, seed]) {
    // The kernel sends one, and the shell another.
    for (const times of [1, 2]) t.true(process.kill(running.pid, 'SIGHUP'), `time ${times}`)
    t.deepEqual(await running.exited, { code: 0, signal: null }, running.stderr())
    t.is(running.events.at(-1)?.event, 'stopped')
  }
  for (const left of [agent.socket, lab.path('store/seed.sock')]) {
    await t.throwsAsync(access(left), { code: 'ENOENT' })
  }
})

test('who was started by nohup goes on', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  const seed = startProgram(t, '/usr/bin/nohup', [
    ...[launcherPath, 'seed', '--store', lab.store, '--json'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  ])
  await seed.waitForEvent('ready', { timeoutMs: patienceMs })
  process.kill(seed.pid, 'SIGHUP')
  // A seed that stops sees no import any more.
  await lab.importImage(path, 'lab')
  await seed.waitForEvent('imported', { timeoutMs: patienceMs })
  t.deepEqual(await seed.stop(), { code: 0, signal: null })
})
