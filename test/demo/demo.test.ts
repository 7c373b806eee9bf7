import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { buildDemoImage } from '../../src/demo/index.ts'
import { runBootswarm, startBootswarm, temporaryDirectory } from '../helpers/process.ts'

const MiB = 1024 * 1024

async function workplace(t: ExecutionContext) {
  const directory = await temporaryDirectory(t)
  const image = join(directory, 'demo.img')
  await buildDemoImage({ path: image, workDir: directory, sizeBytes: 48 * MiB })
  const dir = join(directory, 'demo')
  await mkdir(dir)
  return { image, dir, args: ['demo', '--image', image, '--agents', '2', '--dir', dir] }
}

interface DemoEvent {
  readonly machines: readonly Record<string, unknown>[]
  readonly storedBytes: number
  readonly seedBytesSent: number
  readonly verified: boolean
}

test('demo --json: every machine is verified, and the seed sends little more than one image', async t => {
  const { dir, args } = await workplace(t)
  const { code, stdout, stderr } = await runBootswarm(t, [...args, '--json'])
  t.is(code, 0, stderr)
  const demo = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as DemoEvent
  t.like(demo, { event: 'demo', verified: true })
  t.deepEqual(
    demo.machines.map(({ machine, verdict }) => [machine, verdict]),
    [
      ['machine-1', 'verified'],
      ['machine-2', 'verified']
    ]
  )
  const ratio = demo.seedBytesSent / demo.storedBytes
  t.true(ratio >= 1 && ratio <= 2.5, `${ratio} copies`)
  for (const machine of demo.machines) {
    const first = Number(machine.secondsToFirstRead)
    t.true(first > 0 && first <= Number(machine.secondsToBoot))
    const received = Number(machine.bytesFromSeed) + Number(machine.bytesFromPeers)
    t.true(received >= demo.storedBytes)
  }
  t.deepEqual(await readdir(dir), [], 'it clears up after itself')
})

test('demo: a table for people; with --keep it goes on until it is told to stop', async t => {
  const { dir, args } = await workplace(t)
  const demo = startBootswarm(t, [...args, '--keep'])
  const running = /still running in (\S+); see 'bootswarm status --store (\S+)'/
  while (!running.test(demo.stderr())) {
    const exit = await Promise.race([demo.exited, pause()])
    if (exit !== undefined) t.fail(`it ended: ${demo.stderr()}`)
  }
  const [head, ...rows] = demo.lines
  t.regex(head ?? '', /^MACHINE +FIRST READ +BOOTED +COMPLETE +FROM SEED +FROM PEERS +VERDICT$/)
  t.regex(rows[0] ?? '', /^machine-1 .* verified$/)
  t.regex(rows[1] ?? '', /^machine-2 .* verified$/)
  t.regex(rows[2] ?? '', /^the image: 48 MiB, .* copies for 2 machines$/)
  const [, folder = '', store = ''] = running.exec(demo.stderr()) ?? []
  t.true(folder.startsWith(dir))
  const status = await runBootswarm(t, ['status', '--store', store, '--json'])
  const { machines } = JSON.parse(status.stdout) as { machines: { state: string }[] }
  t.deepEqual(
    machines.map(({ state }) => state),
    ['complete', 'complete']
  )
  t.deepEqual(await demo.stop(), { code: 0, signal: null })
  t.deepEqual(await readdir(dir), [])
})

test('demo: told to stop in the middle, it ends its processes and clears up', async t => {
  const { dir, args } = await workplace(t)
  const demo = startBootswarm(t, [...args])
  while (!demo.stderr().includes('starting a seed')) {
    const exit = await Promise.race([demo.exited, pause()])
    if (exit !== undefined) t.fail(`it ended: ${demo.stderr()}`)
  }
  t.not((await demo.stop()).code, 0)
  t.deepEqual(await readdir(dir), [])
})

test('demo: an image that is no disk is refused', async t => {
  const { dir, image } = await workplace(t)
  await writeFile(image, 'text')
  const { code, stderr } = await runBootswarm(t, ['demo', '--image', image, '--dir', dir])
  t.is(code, 1)
  t.true(stderr.includes(image) && stderr.includes('[ERR_IMAGE_SIZE]'))
  t.deepEqual(await readdir(dir), [])
})

function pause(): Promise<undefined> {
  return new Promise(resolve => setTimeout(() => resolve(undefined), 50))
}
