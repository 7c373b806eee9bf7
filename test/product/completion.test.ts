import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { CompletionStatus, MachineStatus } from '../../src/control/index.ts'
import { MiB, noiseImage } from './images.ts'
import { Lab, patienceMs, seedPort, slowTicket } from './lab.ts'

// What a machine says when its disk is whole: signed, kept by the seed, and said again by the machine.

async function machinesOf(lab: Lab): Promise<readonly MachineStatus[]> {
  return (await lab.status()).machines as readonly MachineStatus[]
}

async function untilReported(lab: Lab): Promise<CompletionStatus> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(200)) {
    const completion = (await machinesOf(lab))[0]?.completion
    if (completion) return completion
  }
  throw new Error('no machine ever reported')
}

test('the seed knows after its restart which machines are verified; a machine says it again to another', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 2)
  const { cid } = await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await lab.ticket()
  // Slow enough for the machine to write before its disk is complete.
  const slow = await slowTicket(t, ticket, MiB / 4)
  const agent = await lab.startAgent({ name: 'a', ticket: slow })
  await agent.until('ready')
  const client = await agent.client()
  await client.write(8192, Buffer.alloc(4096, 'own'))
  await client.flush()
  const complete = await agent.until('complete')
  const expected = {
    image: cid,
    verifiedBytes: bytes.length - 4096,
    machineWrittenBytes: 4096,
    unverifiableBytes: 0,
    bytesFromSeed: complete.bytesFromSeed,
    bytesLocal: 0
  }
  const completion = await untilReported(lab)
  t.like(completion, expected)
  t.true(completion.seconds > 0)
  await agent.process.stop()
  const port = seedPort(seed)
  await seed.kill()

  const second = await lab.startSeed(port)
  const [kept] = await machinesOf(lab)
  t.like(kept, { name: 'a', state: 'gone', completion })
  const { stdout } = await lab.run('status', '--store', lab.store)
  t.regex(stdout, /VERIFIED/)
  t.regex(stdout, /its own/)

  // A seed that has lost it hears it once more, from the machine's own metadata.
  await second.stop()
  for (const end of ['', '-wal', '-shm'])
    await rm(`${lab.store}/control.sqlite${end}`, { force: true })
  await lab.startSeed(port)
  t.deepEqual(await machinesOf(lab), [])
  await lab.startAgent({ name: 'a', ticket })
  const heard = await untilReported(lab)
  t.deepEqual({ ...heard, receivedMs: 0 }, { ...completion, receivedMs: 0 })
})
