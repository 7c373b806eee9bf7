import test, { type ExecutionContext } from 'ava'
import { ext4Image, MiB } from './images.ts'
import { Lab, succeed, slowTicket, type LabAgent } from './lab.ts'

// Other people's NBD clients against an agent, while the image streams in under them and when all of
// it is there.

const stages = ['during', 'after'] as const
type Stage = (typeof stages)[number]

const imageBytes = 32 * MiB

/** An agent whose seed sends slowly, and which is at the beginning or done. */
async function agentAt(t: ExecutionContext, stage: Stage) {
  const lab = await Lab.make(t)
  const { path, bytes } = await ext4Image(lab.directory, imageBytes)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const ticket = await lab.ticket()
  const agent = await lab.startAgent({
    name: 'a',
    ticket: stage === 'during' ? await slowTicket(t, ticket, 3 * MiB) : ticket
  })
  if (stage === 'after') await agent.until('complete')
  else t.true(Number((await agent.until('ready')).present) < 0.1)
  t.is(agent.has('present'), stage === 'after')
  return { lab, path, bytes, agent }
}

/** What the machine wrote must survive the rest of the stream, and the stream what it wrote. */
async function finish(t: ExecutionContext, agent: LabAgent, expected: Buffer): Promise<void> {
  t.like(await agent.until('complete'), { verified: true, unverifiableBytes: 0 })
  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  t.true(expected.equals(await agent.read()))
}

for (const stage of stages) {
  test(`nbdinfo, nbdcopy and qemu-img compare, ${stage} streaming`, async t => {
    const { lab, path, bytes, agent } = await agentAt(t, stage)
    const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', agent.uri)) as {
      exports: object[]
    }
    t.like(info.exports[0], { 'export-size': imageBytes, is_read_only: false, can_flush: true })
    const copied = lab.path('copied')
    if (stage === 'during') t.false(agent.has('present'), 'still streaming')
    await succeed(t, 'nbdcopy', agent.uri, copied)
    await succeed(t, 'cmp', copied, path)
    await succeed(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', agent.uri, path)
    await finish(t, agent, bytes)
  })

  test(`qemu-io reads the image and its own writes, ${stage} streaming`, async t => {
    const { bytes, agent } = await agentAt(t, stage)
    const commands = [
      // Parts of blocks, blocks, chunks, and several chunks at once.
      'write -P 0x11 1536 1024',
      'write -P 0x22 5M 64k',
      'aio_write -P 0x33 9M 3M',
      'aio_write -P 0x44 20971521 777',
      'aio_flush',
      'flush',
      'read -P 0x11 1536 1024',
      'read -P 0x22 5M 64k',
      'read -P 0x33 9M 3M',
      'read -P 0x44 20971521 777'
    ]
    const script = commands.flatMap(each => ['-c', each])
    const output = await succeed(t, 'qemu-io', '-f', 'raw', ...script, agent.uri)
    t.notRegex(output, /verification failed|error/i)
    bytes.fill(0x11, 1536, 2560).fill(0x22, 5 * MiB, 5 * MiB + 65_536)
    bytes.fill(0x33, 9 * MiB, 12 * MiB).fill(0x44, 20_971_521, 20_972_298)
    if (stage === 'during') t.false(agent.has('present'), 'still streaming')
    await finish(t, agent, bytes)
  })

  test(`fio writes and verifies, ${stage} streaming`, async t => {
    const { bytes, agent } = await agentAt(t, stage)
    // The first 8 MiB are fio's; odd sizes, so that blocks have to be merged with the image's.
    const options = ['--rw=randwrite', '--bsrange=512-96k', '--bs_unaligned=1', '--blockalign=512']
    const output = await succeed(
      t,
      'fio',
      ...['--name=verify', '--ioengine=nbd', `--uri=${agent.uri}`, '--size=8m', '--iodepth=8'],
      ...['--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--verify_state_save=0'],
      ...['--fsync=50', '--output-format=json', ...options]
    )
    const report = JSON.parse(output.slice(output.indexOf('{'))) as FioReport
    const [job] = report.jobs
    t.is(job?.error, 0)
    t.true((job?.read.total_ios ?? 0) > 0 && (job?.write.total_ios ?? 0) > 0)
    const client = await agent.client()
    const written = await client.read(0, 8 * MiB)
    t.true(client.size === imageBytes && !written.equals(bytes.subarray(0, 8 * MiB)))
    await client.close()
    await finish(t, agent, Buffer.concat([written, bytes.subarray(8 * MiB)]))
  })
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number
    readonly read: { readonly total_ios: number }
    readonly write: { readonly total_ios: number }
  }[]
}
