import { writeFile } from 'node:fs/promises'
import test from 'ava'
import { decodeTicket } from '../../src/swarm/index.ts'
import { startBootswarm } from '../helpers/process.ts'
import { ext4Image, MiB, noiseImage } from './images.ts'
import { Lab, lastObject, patienceMs, slowTicket } from './lab.ts'

test('two agents stream a real image, share it, and both disks equal it', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await ext4Image(lab.directory)
  const { cid, storedBytes } = await lab.importImage(path, 'debian:12')
  const seed = await lab.startSeed()
  // Slow enough that neither is done before the other has begun.
  const ticket = await slowTicket(t, await lab.ticket(), 5 * MiB)
  const extra = ['--until', 'complete']
  const agents = await Promise.all(
    ['debian:12', cid].map((image, index) =>
      lab.startAgent({ name: `m${index}`, image, ticket, extra })
    )
  )
  for (const [index, agent] of agents.entries()) {
    t.like(await agent.until('ready'), {
      nbd: `unix:${agent.socket}`,
      size: bytes.length,
      image: cid,
      name: `m${index}`,
      present: 0
    })
  }
  const exits = await Promise.all(agents.map(agent => agent.process.exited))
  t.deepEqual(exits, [
    { code: 0, signal: null },
    { code: 0, signal: null }
  ])
  let bytesFromSeed = 0
  for (const agent of agents) {
    t.true(bytes.equals(await agent.read()))
    const complete = await agent.until('complete')
    t.like(complete, { verified: true, machineWrittenBytes: 0, unverifiableBytes: 0 })
    t.true(Number(complete.bytesFromPeers) > 0, 'they shared')
    t.true(Number(complete.bytesFromSeed) + Number(complete.bytesFromPeers) >= storedBytes)
    bytesFromSeed += Number(complete.bytesFromSeed)
    t.is(agent.process.events.at(-1)?.event, 'stopped')
    t.true(agent.has('present'))
  }
  t.true(bytesFromSeed <= 2.5 * storedBytes, `${bytesFromSeed} of ${storedBytes} stored`)
  t.deepEqual(await seed.stop(), { code: 0, signal: null })
})

test('status: the seed, its images and its machines, while they work and after', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 4)
  const { cid, storedBytes } = await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const { addresses, http } = await seed.waitForEvent('ready')
  const agent = await lab.startAgent({ name: 'pc-1' })
  await agent.until('complete')
  const status = await lab.status()
  t.like(status.seed, { addresses })
  t.deepEqual(status.images, [{ name: 'lab', tag: 'latest', cid }])
  const { bytesSent } = status.seed as { bytesSent: number }
  t.true(bytesSent >= storedBytes)
  const [machine, ...others] = status.machines as Record<string, unknown>[]
  t.deepEqual(others, [])
  t.like(machine, { name: 'pc-1', state: 'complete', image: cid, present: 1 })
  t.is(typeof machine?.rate, 'number')

  const byUrl = await lab.run('status', '--seed', String(http), '--json')
  t.like(lastObject(byUrl.stdout).seed, { addresses })
  const forPeople = await lab.run('status', '--store', lab.store)
  t.regex(forPeople.stdout, /pc-1 +complete +100 %/)

  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  let machines: unknown
  do machines = (await lab.status()).machines
  while ((machines as { state: string }[])[0]?.state !== 'gone')
  t.pass()
})

test('a ticket names where the seed really listens, or where it did', async t => {
  const lab = await Lab.make(t)
  const wildcard = ['--listen', '/ip4/0.0.0.0/tcp/0', '--http', '127.0.0.1:0']
  const seed = startBootswarm(t, ['seed', '--store', lab.store, ...wildcard, '--json'])
  const ready = await seed.waitForEvent('ready', { timeoutMs: patienceMs })
  const addresses = ready.addresses as string[]
  t.false(addresses.some(address => address.includes('/0.0.0.0/') || address.includes('/tcp/0/')))
  const named = decodeTicket(await lab.ticket())
  t.true(named.seeds.length > 0)
  t.true(named.seeds.every(address => addresses.includes(address)))
  await seed.stop()
  t.deepEqual(decodeTicket(await lab.ticket()).seeds, named.seeds)

  const json = lastObject((await lab.run('ticket', '--store', lab.store, '--json')).stdout)
  t.is(json.event, 'ticket')
  t.is(decodeTicket(String(json.ticket)).expiresMs, Date.parse(String(json.expires)))
})

test('an image that is imported while the seed runs is served at once', async t => {
  const lab = await Lab.make(t)
  const seed = await lab.startSeed()
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  const { cid } = await lab.importImage(path, 'late:1')
  const imported = await seed.waitForEvent('imported', { timeoutMs: patienceMs })
  t.deepEqual(imported, { event: 'imported', image: cid, name: 'late:1' })
  const agent = await lab.startAgent({ name: 'a', image: 'late:1' })
  await agent.until('complete')
  t.true(bytes.equals(await agent.read()))
  t.like(await lab.status(), { images: [{ name: 'late', tag: '1' }] })
})

test('a machine that starts late gets most from those before it', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 12)
  const { storedBytes } = await lab.importImage(path, 'lab')
  await lab.startSeed()
  const first = await lab.startAgent({ name: 'first' })
  const alone = await first.until('complete')
  t.is(alone.bytesFromPeers, 0)
  const late = await lab.startAgent({ name: 'late' })
  const shared = await late.until('complete')
  t.true(bytes.equals(await late.read()))
  t.true(Number(shared.bytesFromPeers) > storedBytes / 2, JSON.stringify(shared))
})

test('a name that moves on: the disk goes on with its image and says so; --redeploy switches', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  const old = await lab.importImage(path, 'lab')
  await lab.startSeed()
  const before = await lab.startAgent({ name: 'a' })
  await before.until('complete')
  await before.process.stop()

  const changed = Buffer.from(bytes)
  changed.fill('the next release', 2 * MiB, 3 * MiB)
  await writeFile(path, changed)
  const next = await lab.importImage(path, 'lab')
  t.not(next.cid, old.cid)

  const again = await lab.startAgent({ name: 'a' })
  t.like(await again.until('ready'), { image: old.cid, present: 1 })
  t.like(await again.until('newer'), { name: 'lab:latest', image: next.cid })
  t.like(await again.until('complete'), { bytesFromSeed: 0 })
  await again.process.stop()
  t.true(bytes.equals(await again.read()))

  const byCid = await lab.startAgent({ name: 'a', image: next.cid })
  t.is((await byCid.process.exited).code, 1)
  t.regex(byCid.process.stderr(), /--redeploy.*\[ERR_TARGET_FOREIGN\]/)

  const switched = await lab.startAgent({ name: 'a', extra: ['--redeploy'] })
  t.like(await switched.until('ready'), { image: next.cid })
  await switched.until('complete')
  t.true(changed.equals(await switched.read()))
  t.false(switched.has('newer'))
  await switched.process.stop()

  const settled = await lab.startAgent({ name: 'a', extra: ['--redeploy'] })
  t.like(await settled.until('ready'), { image: next.cid, present: 1 })
})
