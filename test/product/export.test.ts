import { readFile } from 'node:fs/promises'
import test, { type ExecutionContext } from 'ava'
import { nbdUri, parseNbdAddress } from '../../src/nbd/index.ts'
import { runProgram, startBootswarm } from '../helpers/process.ts'
import { ext4Image, noiseImage } from './images.ts'
import { Lab, patienceMs, succeed } from './lab.ts'

// An image as other people's tools open it: straight from the swarm, and from a seed.

interface Run {
  readonly start: number
  readonly length: number
  readonly zero: boolean
}

async function mapOf(t: ExecutionContext, uri: string): Promise<Run[]> {
  return JSON.parse(await succeed(t, 'qemu-img', 'map', '-f', 'raw', '--output=json', uri)) as Run[]
}

function uriOf(address: string, name = ''): string {
  return nbdUri(parseNbdAddress(address)).replace('nbd+unix:///', `nbd+unix:///${name}`)
}

test('an image straight from the swarm: its map, its bytes, and no disk', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 6)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const socket = `unix:${lab.path('export.sock')}`
  const exported = startBootswarm(t, [
    ...['export', 'lab', '--ticket', await lab.ticket(), '--nbd', socket, '--json'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0']
  ])
  const ready = await exported.waitForEvent('ready', { timeoutMs: patienceMs })
  t.is(ready.size, bytes.length)
  const uri = uriOf(socket)
  const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', uri)) as { exports: object[] }
  t.like(info.exports[0], {
    'export-name': 'lab',
    is_read_only: true,
    can_cache: true,
    contexts: ['base:allocation', 'bootswarm:presence']
  })
  const zeros = (await mapOf(t, uri)).filter(({ zero }) => zero)
  t.is(
    zeros.reduce((sum, { length }) => sum + length, 0),
    4 * 1024 * 1024
  )
  for (const options of [[], ['--connections=4']]) {
    const copy = lab.path('copy')
    await succeed(t, 'nbdcopy', ...options, uri, copy)
    t.true(bytes.equals(await readFile(copy)))
  }
  await succeed(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, path)
  t.not((await runProgram(t, 'nbdcopy', [path, uri])).code, 0, 'it cannot be written to')
  t.deepEqual(await exported.stop(), { code: 0, signal: null })
})

test('a seed shows all its images by name, also one that was imported while it ran', async t => {
  const lab = await Lab.make(t)
  const first = await ext4Image(lab.directory)
  await lab.importImage(first.path, 'first')
  const socket = `unix:${lab.path('seed.sock')}`
  const seed = startBootswarm(t, [
    ...['seed', '--store', lab.store, '--nbd', socket, '--json', '--http', '127.0.0.1:0'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0']
  ])
  t.is((await seed.waitForEvent('ready', { timeoutMs: patienceMs })).nbd, socket)
  const second = await noiseImage(lab.path('second'), 2)
  await lab.importImage(second.path, 'second:v2')
  const listed = await succeed(t, 'nbdinfo', '--list', '--json', uriOf(socket))
  const { exports } = JSON.parse(listed) as { exports: Record<string, unknown>[] }
  t.deepEqual(
    exports.map(each => [each['export-name'], each['is_read_only']]),
    [
      ['first:latest', true],
      ['second:v2', true]
    ]
  )
  const images = [
    ['first:latest', first.path],
    ['second:v2', second.path]
  ] as const
  for (const [name, path] of images) {
    const uri = uriOf(socket, name)
    await succeed(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, path)
    t.true((await mapOf(t, uri)).some(({ zero }) => zero))
  }
  t.not((await runProgram(t, 'nbdinfo', ['--size', uriOf(socket, 'third')])).code, 0)
  t.deepEqual(await seed.stop(), { code: 0, signal: null })
})

test('a read that nobody can answer: an error after --read-timeout, and it goes on', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const socket = `unix:${lab.path('export.sock')}`
  const exported = startBootswarm(t, [
    ...['export', 'lab', '--ticket', await lab.ticket(), '--nbd', socket, '--json'],
    ...['--read-timeout', '0.5', '--listen', '/ip4/127.0.0.1/tcp/0']
  ])
  await exported.waitForEvent('ready', { timeoutMs: patienceMs })
  const read = (at: number) =>
    runProgram(t, 'qemu-io', ['-r', '-f', 'raw', '-c', `read ${at} 512`, uriOf(socket)])
  t.is((await read(0)).code, 0)
  await seed.stop()
  const late = await read(1_000_000)
  t.regex(late.stdout + late.stderr, /read failed: Input\/output error/)
  t.is((await read(0)).code, 0, 'what is kept can still be read')
})
