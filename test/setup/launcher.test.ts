import { chmod, cp, mkdir, realpath, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { projectRoot, runProgram, startProgram, temporaryDirectory } from '../helpers/process.ts'

// The launcher in a small checkout of its own, in front of a program that tells how it was started.

const program = `
import 'node:sqlite'
const started: { event: string } & Record<string, unknown> = {
  event: 'started',
  pid: process.pid,
  node: process.versions.node,
  args: process.argv.slice(2),
  cwd: process.cwd()
}
if (started.args.includes('--stay')) {
  const timer = setInterval(() => {}, 1_000)
  process.on('SIGTERM', () => {
    console.log(JSON.stringify({ event: 'stopping' }))
    clearInterval(timer)
  })
}
console.log(JSON.stringify(started))
if (started.args.includes('--fail')) process.exitCode = 7
`

async function checkout(t: ExecutionContext): Promise<string> {
  const root = await realpath(await temporaryDirectory(t))
  await mkdir(join(root, 'src/cli'), { recursive: true })
  await mkdir(join(root, 'bin'))
  await cp(join(projectRoot, 'bin/bootswarm'), join(root, 'bin/bootswarm'))
  await symlink(join(projectRoot, 'node_modules'), join(root, 'node_modules'))
  await writeFile(join(root, 'package.json'), '{"type":"module"}')
  await writeFile(join(root, 'src/cli/main.ts'), program)
  return root
}

test('the program runs on Node 24 and gets its arguments as they were', async t => {
  const root = await checkout(t)
  const args = ['image', 'two words', '*', '', '--json']
  const started = startProgram(t, join(root, 'bin/bootswarm'), args)
  const event = await started.waitForEvent('started')
  t.regex(String(event.node), /^24\./)
  t.deepEqual(event.args, args)
})

test('users see no warnings about experiments of Node', async t => {
  const root = await checkout(t)
  const { code, stderr } = await runProgram(t, join(root, 'bin/bootswarm'), [])
  t.is(code, 0)
  t.is(stderr, '')
})

test("the exit code is the program's", async t => {
  const root = await checkout(t)
  const { code } = await runProgram(t, join(root, 'bin/bootswarm'), ['--fail'])
  t.is(code, 7)
})

test('it works through symlinks, from any directory, and by PATH', async t => {
  const root = await checkout(t)
  const elsewhere = await realpath(await temporaryDirectory(t))
  await symlink(join(root, 'bin/bootswarm'), join(elsewhere, 'first'))
  await symlink('first', join(elsewhere, 'bootswarm-link'))
  const env = { PATH: `${elsewhere}:${process.env.PATH}` }
  const calls = [
    { file: join(elsewhere, 'bootswarm-link'), cwd: '/' },
    { file: './bootswarm-link', cwd: elsewhere },
    { file: 'bootswarm-link', cwd: elsewhere }
  ]
  for (const { file, cwd } of calls) {
    const started = startProgram(t, file, [], { cwd, env })
    const event = await started.waitForEvent('started')
    t.is(event.cwd, cwd)
  }
})

test("the process id and the signals are the program's own", async t => {
  const root = await checkout(t)
  const started = startProgram(t, join(root, 'bin/bootswarm'), ['--stay'])
  const event = await started.waitForEvent('started')
  t.is(event.pid, started.pid)
  const exit = await started.stop()
  t.true(started.events.some(({ event: name }) => name === 'stopping'))
  t.deepEqual(exit, { code: 0, signal: null })
})

test('SIGKILL at the launcher kills the program', async t => {
  const root = await checkout(t)
  const started = startProgram(t, join(root, 'bin/bootswarm'), ['--stay'])
  await started.waitForEvent('started')
  process.kill(started.pid, 'SIGKILL')
  t.deepEqual(await started.exited, { code: null, signal: 'SIGKILL' })
  t.throws(() => process.kill(started.pid, 0), { code: 'ESRCH' })
})

test('without the runtime it sets up first, on stderr, and goes on', async t => {
  const root = await checkout(t)
  await rename(join(root, 'node_modules'), join(root, 'packages'))
  await mkdir(join(root, 'scripts'))
  await writeFile(
    join(root, 'scripts/setup.mjs'),
    `import { renameSync } from 'node:fs'
     console.log('setting up', process.argv.slice(2).join(' '))
     renameSync(${JSON.stringify(join(root, 'packages'))}, ${JSON.stringify(join(root, 'node_modules'))})`
  )
  const result = await runProgram(t, join(root, 'bin/bootswarm'), ['status'])
  t.is(result.code, 0)
  t.is(result.stderr, 'setting up --for runtime\n')
  t.regex(result.stdout, /^\{"event":"started".*\n$/)
})

test('a set-up that fails ends the launcher', async t => {
  const root = await checkout(t)
  await rename(join(root, 'node_modules'), join(root, 'packages'))
  await mkdir(join(root, 'scripts'))
  await writeFile(join(root, 'scripts/setup.mjs'), 'process.exitCode = 3')
  const result = await runProgram(t, join(root, 'bin/bootswarm'), [])
  t.is(result.code, 3)
  t.is(result.stdout, '')
})

test('without any Node it says what to install', async t => {
  const root = await checkout(t)
  await rename(join(root, 'node_modules'), join(root, 'packages'))
  const tools = await temporaryDirectory(t)
  await symlink('/bin/sh', join(tools, 'sh'))
  await symlink('/usr/bin/readlink', join(tools, 'readlink'))
  const result = await runProgram(t, join(root, 'bin/bootswarm'), [], { env: { PATH: tools } })
  t.is(result.code, 1)
  t.regex(result.stderr, /nodejs npm/)
})

test('a user who may not write to the checkout can run it', async t => {
  const root = await checkout(t)
  await chmod(root, 0o755)
  const uid = process.getuid?.() === 0 ? 65_534 : undefined
  const started = startProgram(t, join(root, 'bin/bootswarm'), [], { uid, cwd: '/' })
  await started.waitForEvent('started')
  t.is(started.stderr(), '')
})

test('shellcheck finds nothing in the shell scripts', async t => {
  const scripts = ['bin/bootswarm', '.ci/run'].map(path => join(projectRoot, path))
  const result = await runProgram(t, 'shellcheck', scripts)
  t.is(result.stdout, '')
  t.is(result.code, 0)
})
