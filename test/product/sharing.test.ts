import test from 'ava'
import { cp, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBootswarm } from '../helpers/process.ts'
import { MiB, noiseImage } from './images.ts'
import { Lab, patienceMs, slowTicket } from './lab.ts'

// For how long machines serve others, and what several seeds make of one image.

test('--share never: a complete machine leaves the swarm, and goes on serving its own disk', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const agent = await lab.startAgent({ name: 'a', extra: ['--share', 'never'] })
  await agent.until('unshared')
  t.true(agent.has('complete'))
  const client = await agent.client()
  t.true(bytes.subarray(0, MiB).equals(await client.read(0, MiB)))
  const machine = async (): Promise<unknown> => {
    const { machines } = (await lab.status()) as { machines: { state: string }[] }
    return machines[0]?.state
  }
  const until = Date.now() + patienceMs
  while ((await machine()) !== 'gone' && Date.now() < until);
  t.is(await machine(), 'gone')
  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  await seed.stop()
})

test('--until complete with --share never ends by itself, and a wrong --share is a usage error', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const extra = ['--until', 'complete', '--share', 'never']
  const agent = await lab.startAgent({ name: 'a', extra })
  await agent.until('stopped')
  t.true(agent.has('unshared'))
  const { code, stderr } = await lab.run(
    ...['agent', '--ticket', await lab.ticket(), '--image', 'lab', '--disk', lab.path('b')],
    ...['--nbd', `unix:${lab.path('b.sock')}`, '--share', 'sometimes']
  )
  t.is(code, 2, stderr)
  t.regex(stderr, /--share sometimes/)
})

test('--until complete that is stopped before has failed, and says so', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 12)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const ticket = await slowTicket(t, await lab.ticket(), MiB)
  const extra = ['--until', 'complete']
  const agent = await lab.startAgent({ name: 'a', ticket, extra })
  await agent.until('ready')
  t.deepEqual(await agent.process.stop(), { code: 1, signal: null })
  const [stopped, error] = agent.process.events.slice(-2)
  t.is(stopped?.event, 'stopped')
  t.like(error, { event: 'error', code: 'ERR_STOPPED' })
  t.true(String(error?.message).includes(agent.disk))
})

test('two seeds share the chunks; the one that is left does the rest', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 12)
  const { storedBytes } = await lab.importImage(path, 'lab')
  const first = await lab.startSeed()
  await cp(lab.store, lab.path('copy'), {
    recursive: true,
    filter: name => !name.endsWith('.sock')
  })
  const second = startBootswarm(t, [
    ...['seed', '--store', lab.path('copy'), '--as', 'second', '--json'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  ])
  const { addresses } = await second.waitForEvent('ready', { timeoutMs: patienceMs })
  const [address = ''] = addresses as string[]
  const { code, stdout, stderr } = await lab.run(
    ...['ticket', '--store', lab.store, '--also', address]
  )
  t.is(code, 0, stderr)
  const ticket = await slowTicket(t, stdout.trim(), 2 * MiB)
  const agents = await Promise.all(
    ['a', 'b'].map(name => lab.startAgent({ name, ticket, extra: ['--until', 'complete'] }))
  )
  await Promise.all(agents.map(agent => agent.until('complete')))
  for (const agent of agents) t.true(bytes.equals(await agent.read()))
  const sent = [first, second].map(({ events }) =>
    Number(events.findLast(({ event }) => event === 'progress')?.bytesSent ?? 0)
  )
  for (const bytesSent of sent) t.true(bytesSent > storedBytes / 5, `sent ${sent.join(' and ')}`)
  t.true((sent[0] ?? 0) + (sent[1] ?? 0) < storedBytes * 1.5, `sent ${sent.join(' and ')}`)

  const late = await lab.startAgent({ name: 'c', ticket: ticket })
  await late.until('progress')
  await second.kill()
  await late.until('complete')
  t.true(bytes.equals(await late.read()))
})

test('a seed of two processes shares the chunks among them, starts one that died again, and leaves none', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 12)
  const { storedBytes } = await lab.importImage(path, 'lab')
  const seed = startBootswarm(t, [
    ...['seed', '--store', lab.store, '--processes', '2', '--json'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  ])
  const { addresses } = await seed.waitForEvent('ready', { timeoutMs: patienceMs })
  const ids = new Set((addresses as string[]).map(address => address.split('/p2p/')[1]))
  t.is(ids.size, 2)
  const ticket = await slowTicket(t, await lab.ticket(), 2 * MiB)
  const agent = await lab.startAgent({ name: 'a', ticket, extra: ['--until', 'complete'] })
  await agent.until('complete')
  t.true(bytes.equals(await agent.read()))
  const { seed: facts, machines } = (await lab.status()) as {
    seed: { addresses: string[]; bytesSent: number }
    machines: unknown[]
  }
  t.deepEqual(facts.addresses, addresses)
  t.is(machines.length, 1)
  t.true(facts.bytesSent >= storedBytes * 0.9, `sent ${facts.bytesSent} of ${storedBytes}`)

  const [further] = await childrenOf(seed.pid)
  if (further === undefined) throw new Error('there is no second process')
  process.kill(further, 'SIGKILL')
  const lookUntil = Date.now() + patienceMs
  let again: number | undefined
  while ((again === undefined || again === further) && Date.now() < lookUntil) {
    await sleep(100)
    again = (await childrenOf(seed.pid))[0]
  }
  t.not(again, undefined)
  const late = await lab.startAgent({ name: 'b', extra: ['--until', 'complete'] })
  await late.until('complete')
  t.true(bytes.equals(await late.read()))
  t.deepEqual(await seed.stop(), { code: 0, signal: null })
  t.deepEqual(await childrenOf(again ?? 0), [])
  t.throws(() => process.kill(again ?? 0, 0), { code: 'ESRCH' })
})

/** Processes that `pid` has started and that still are. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

test('an image that only one of two seeds has is found', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'old')
  await cp(lab.store, lab.path('copy'), { recursive: true })
  const { cid } = await lab.importImage(path, 'lab')
  const other = await noiseImage(lab.path('other'), 2)
  const { cid: newCid } = await lab.importImage(other.path, 'new')
  t.not(cid, newCid)
  await lab.startSeed()
  const second = startBootswarm(t, [
    ...['seed', '--store', lab.path('copy'), '--as', 'second', '--json'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  ])
  const { addresses } = await second.waitForEvent('ready', { timeoutMs: patienceMs })
  const { stdout } = await lab.run(
    ...['ticket', '--store', lab.store, '--also', (addresses as string[])[0] ?? '']
  )
  const ticket = stdout.trim()
  for (const [name, image] of [
    ['by-name', 'new'],
    ['by-cid', newCid]
  ] as const) {
    const agent = await lab.startAgent({ name, image, ticket, extra: ['--until', 'complete'] })
    await agent.until('complete')
  }
  const none = await lab.startAgent({ name: 'none', image: 'nowhere', ticket })
  t.like(await none.until('error'), { code: 'ERR_IMAGE_UNKNOWN' })
})

test('two seeds on copies of one store need names of their own, and --also needs a whole address', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const named = await lab.run('seed', '--store', lab.store, '--as', 'No Name')
  t.is(named.code, 2)
  t.regex(named.stderr, /--as No Name/)
  const also = await lab.run('ticket', '--store', lab.store, '--also', '/ip4/192.0.2.1/tcp/4910')
  t.is(also.code, 2)
  t.regex(also.stderr, /--also \/ip4\/192.0.2.1/)
})
