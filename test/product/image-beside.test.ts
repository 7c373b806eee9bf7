import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { runProgram } from '../helpers/process.ts'
import { MiB, noiseImage } from './images.ts'
import { Lab, slowTicket, succeed, type LabAgent } from './lab.ts'

// The image as it was imported, as a second export of an agent whose machine writes over it.

function imageUri(agent: LabAgent, name: string): string {
  return agent.uri.replace('nbd+unix:///', `nbd+unix:///${name}`)
}

function compare(t: ExecutionContext, uri: string, path: string): Promise<string> {
  return succeed(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, path)
}

async function differs(t: ExecutionContext, uri: string, path: string): Promise<void> {
  const { code } = await runProgram(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', uri, path])
  t.is(code, 1, 'the disk is the machine’s')
}

test('the image is offered read-only beside the disk, while it comes, and without any seed', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 12)
  await lab.importImage(path, 'lab:v1')
  const seed = await lab.startSeed()
  const ticket = await slowTicket(t, await lab.ticket(), 2 * MiB)
  const agent = await lab.startAgent({ name: 'm', image: 'lab:v1', ticket })
  await agent.until('ready')
  const client = await agent.client()
  // Whole chunks, whole blocks and parts of blocks, none of which has come yet.
  for (const [offset, length] of [
    [8 * MiB, MiB],
    [10 * MiB + 4096, 8192],
    [11 * MiB + 777, 1000],
    [13 * MiB, 4096]
  ] as const) {
    await client.write(offset, randomBytes(length))
  }
  await client.flush()
  const listed = await succeed(t, 'nbdinfo', '--list', '--json', agent.uri)
  const { exports } = JSON.parse(listed) as { exports: Record<string, unknown>[] }
  t.deepEqual(
    exports.map(each => [each['export-name'], each['is_read_only'], each['export-size']]),
    [
      ['', false, bytes.length],
      ['lab:v1', true, bytes.length]
    ]
  )
  const uri = imageUri(agent, 'lab:v1')
  t.false(agent.has('complete'))
  await compare(t, uri, path)
  await differs(t, agent.uri, path)
  t.not((await runProgram(t, 'nbdcopy', [path, uri])).code, 0, 'it cannot be written to')

  await agent.until('complete')
  await seed.stop()
  await compare(t, uri, path)
  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  const again = await lab.startAgent({ name: 'm', image: 'lab:v1', ticket })
  await again.until('ready')
  await compare(t, imageUri(again, 'lab:v1'), path)
  await differs(t, again.uri, path)
})

test('what found no room to be put aside is shown from the swarm', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 72)
  const { cid } = await lab.importImage(path, 'lab')
  await lab.startSeed()
  const agent = await lab.startAgent({ name: 'm', image: cid })
  await agent.until('complete')
  const client = await agent.client()
  for (let offset = 0; offset < 72 * MiB; offset += 4 * MiB) {
    await client.write(offset, randomBytes(4 * MiB))
  }
  await client.flush()
  t.true(Number((await agent.until('given-up')).chunks) > 0)
  await compare(t, imageUri(agent, cid), path)
  await differs(t, agent.uri, path)
})
