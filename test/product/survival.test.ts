import { existsSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { decodeTicket } from '../../src/swarm/index.ts'
import { chunkBytes, MiB, noiseImage } from './images.ts'
import { Lab, patienceMs, seedPort, slowTicket } from './lab.ts'

// What is left of a lab when its processes die at the worst moment.

const storedMiB = 12

async function labWithImage(t: ExecutionContext) {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), storedMiB)
  const { storedBytes } = await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await lab.ticket()
  return { lab, bytes, storedBytes, seed, ticket }
}

function stamp(text: string, length = 4096): Buffer {
  return Buffer.alloc(length, text)
}

test('an agent that is killed mid-stream keeps what it had, and what the machine flushed', async t => {
  const { lab, bytes, storedBytes, ticket } = await labWithImage(t)
  const slow = await slowTicket(t, ticket, 2 * MiB)
  const first = await lab.startAgent({ name: 'a', ticket: slow })
  await first.until('ready')
  const client = await first.client()
  const writes = [
    { offset: 3 * MiB, data: stamp('whole blocks ', 8192) },
    { offset: 5 * MiB + 777, data: stamp('parts of blocks ', 5000) },
    { offset: bytes.length - 300, data: stamp('the end ', 300) }
  ]
  for (const { offset, data } of writes) {
    await client.write(offset, data)
    data.copy(bytes, offset)
  }
  // A chunk is recorded behind the flush that makes it durable: what came last may be asked for again.
  const earlier = await first.until('progress', ({ present }) => Number(present) > 0.3)
  await first.until('progress', ({ present }) => Number(present) > 0.6)
  await client.flush()
  t.false(first.has('present'), 'mid-stream')
  await first.process.kill()

  const second = await lab.startAgent({ name: 'a', ticket })
  const { present } = await second.until('ready')
  t.true(Number(present) >= Number(earlier.present), `${String(present)} at ready`)
  const complete = await second.until('complete')
  const received = Number(complete.bytesFromSeed) + Number(complete.bytesFromPeers)
  t.true(received <= (1 - Number(present)) * bytes.length + MiB, `${received} bytes again`)
  t.true(received < storedBytes * 0.65)
  t.true(Number(complete.machineWrittenBytes) > 0)
  t.deepEqual(await second.process.stop(), { code: 0, signal: null })
  t.true(bytes.equals(await second.read()))
})

test('without any peer: ready from local metadata, a read waits, and the seed that comes back answers it', async t => {
  const { lab, bytes, seed, ticket } = await labWithImage(t)
  const first = await lab.startAgent({ name: 'a', ticket: await slowTicket(t, ticket, MiB) })
  await first.until('ready')
  const earlier = await first.client()
  t.true(bytes.subarray(MiB, MiB + 65_536).equals(await earlier.read(MiB, 65_536)))
  await earlier.flush()
  await first.process.kill()
  const port = seedPort(seed)
  await seed.kill()

  const agent = await lab.startAgent({ name: 'a', ticket })
  t.true(Number((await agent.until('ready')).present) > 0)
  const client = await agent.client()
  t.true(bytes.subarray(MiB, MiB + 65_536).equals(await client.read(MiB, 65_536)), 'what it has')

  // The whole disk: some of it is missing, for the stream was slow.
  let isAnswered = false
  const waiting = (await agent.client()).read(0, bytes.length).finally(() => (isAnswered = true))
  t.true(Number((await agent.until('starved')).reads) > 0)
  t.like(await agent.until('unreachable'), { addresses: decodeTicket(ticket).seeds })
  t.false(isAnswered)
  await lab.startSeed(port)
  t.true(bytes.equals(await waiting), 'no error, only time')
  await agent.until('fed')
  await agent.until('complete')
})

test('two agents wrote into the same chunks and the seed is dead: a third completes from them', async t => {
  const { lab, bytes, storedBytes, seed, ticket } = await labWithImage(t)
  const third = await lab.startAgent({
    name: 'third',
    ticket: await slowTicket(t, ticket, 0.25 * MiB)
  })
  // It is in the lab, which knows what it works on. It stands still until the seed is dead.
  await third.until('progress')
  process.kill(third.process.pid, 'SIGSTOP')
  const offsets = Array.from({ length: storedMiB }, (_, index) => index * MiB + 5 * chunkBytes)
  const writers = await Promise.all(
    ['first', 'second'].map(async name => {
      const agent = await lab.startAgent({ name, ticket })
      await agent.until('ready')
      const client = await agent.client()
      // Half of them before the stream is there, perhaps; the others surely after it.
      for (const offset of offsets.filter((_, index) => index % 2 === 0)) {
        await client.write(offset + 4096, stamp(name))
      }
      await agent.until('complete')
      for (const offset of offsets.filter((_, index) => index % 2 === 1)) {
        await client.write(offset + 300, stamp(name, 1000))
      }
      await client.flush()
      return agent
    })
  )
  await seed.kill()
  process.kill(third.process.pid, 'SIGCONT')
  const complete = await third.until('complete')
  t.true(bytes.equals(await third.read()))
  t.like(complete, { verified: true, unverifiableBytes: 0 })
  t.true(Number(complete.bytesFromSeed) < storedBytes / 3)
  t.true(Number(complete.bytesFromPeers) > storedBytes / 2)
  for (const writer of writers) {
    const own = await writer.read()
    t.false(own.equals(bytes), 'it did write')
    t.deepEqual(await writer.process.stop(), { code: 0, signal: null })
  }
})

test('a seed that is killed and started again: the agents go on', async t => {
  const { lab, bytes, seed, ticket } = await labWithImage(t)
  const slow = await slowTicket(t, ticket, 2 * MiB)
  const agents = await Promise.all(['a', 'b'].map(name => lab.startAgent({ name, ticket: slow })))
  await Promise.all(
    agents.map(agent => agent.until('progress', ({ present }) => Number(present) > 0))
  )
  const port = seedPort(seed)
  await seed.kill()
  t.false(
    agents.some(agent => agent.has('present')),
    'mid-stream'
  )
  const next = await lab.startSeed(port)
  for (const agent of agents) {
    await agent.until('complete')
    t.true(bytes.equals(await agent.read()))
  }
  const machines = (await lab.status()).machines as { name: string }[]
  t.deepEqual(machines.map(({ name }) => name).sort(), ['a', 'b'])
  t.deepEqual(await next.stop(), { code: 0, signal: null })
})

test('SIGTERM: the agent ends at once and cleanly, mid-stream or waiting, and takes its socket away', async t => {
  const { lab, seed, ticket } = await labWithImage(t)
  const agent = await lab.startAgent({ name: 'a', ticket: await slowTicket(t, ticket, MiB) })
  await agent.until('ready')
  const client = await agent.client()
  const unanswered = client.read(0, 8 * MiB).then(
    () => 'answered',
    () => 'turned away'
  )
  t.true(existsSync(agent.socket))
  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  t.is(agent.process.events.at(-1)?.event, 'stopped')
  t.false(existsSync(agent.socket))
  t.is(await unanswered, 'turned away')

  await seed.kill()
  const lonely = await lab.startAgent({ name: 'b', ticket })
  await lonely.process.waitForEvent('unreachable', { timeoutMs: patienceMs })
  t.deepEqual(await lonely.process.stop(), { code: 0, signal: null })
  t.false(existsSync(lonely.socket) || existsSync(lonely.disk))
})
