import test from 'ava'
import { noiseImage } from './images.ts'
import { Lab } from './lab.ts'

// A ticket that stands on a kernel's command line: for one machine and one boot.

const machine = '52:54:00:12:34:56'

test('a ticket for one machine lets it in once, and nobody else', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const made = await lab.run('ticket', '--store', lab.store, '--machine', machine, '--ttl', '10m')
  t.is(made.code, 0, made.stderr)
  const ticket = made.stdout.trim()
  const own = ['--machine', machine, '0f3c3a7e-1111-4222-8333-444455556666']

  const stranger = await lab.startAgent({
    name: 's',
    ticket,
    extra: ['--machine', '52:54:00:0:0:1']
  })
  t.is((await stranger.process.exited).code, 2)
  const other = await lab.startAgent({
    name: 'o',
    ticket,
    extra: ['--machine', '52:54:00:00:00:01']
  })
  t.is((await other.process.exited).code, 1)
  t.regex(other.process.stderr(), /is for machine 52:54:00:12:34:56.*ERR_TICKET_USED/)

  const agent = await lab.startAgent({ name: 'a', ticket, extra: own })
  await agent.until('complete')
  const thief = await lab.startAgent({ name: 't', ticket, extra: own })
  t.is((await thief.process.exited).code, 1)
  t.regex(thief.process.stderr(), /has been used by another machine.*ERR_TICKET_USED/)

  const { machines } = (await lab.status()) as { machines: { name: string; ids: string[] }[] }
  t.deepEqual(machines.find(({ name }) => name === 'a')?.ids, own.slice(1))
  await agent.process.stop()
  const back = await lab.startAgent({ name: 'a', ticket, extra: own })
  await back.until('complete')
})
