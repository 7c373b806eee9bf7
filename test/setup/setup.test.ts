import {
  appendFile,
  chmod,
  cp,
  mkdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { projectRoot, runProgram, temporaryDirectory } from '../helpers/process.ts'
import type { Finished } from '../helpers/process.ts'

// The set-up step in a small checkout of its own, with an npm and an apt-get that write down how
// they were called, on a PATH where nothing else can be found.

interface Checkout {
  readonly root: string
  readonly tools: string
  readonly setup: (args?: readonly string[], options?: { uid?: number }) => Promise<Finished>
  /** How npm and apt-get were called so far, in lines. */
  readonly calls: () => Promise<string[]>
  readonly writeTool: (name: string, script: string) => Promise<void>
}

const isRoot = process.getuid?.() === 0
const nobody = isRoot ? 65_534 : undefined
const testPackages = [
  ...['libnbd-bin', 'python3-libnbd', 'qemu-utils', 'nbdkit', 'fio', 'shellcheck'],
  ...['cpio', 'zstd']
]
const testPrograms = ['nbdinfo', 'nbdsh', 'qemu-img', 'nbdkit', 'fio', 'shellcheck', 'cpio', 'zstd']

function lockFile(version: string): string {
  const entry = { version, optional: false }
  const other = { version: '1.0.0', optional: true }
  return JSON.stringify({
    packages: {
      '': {},
      'node_modules/leaf': entry,
      'node_modules/other-architecture': other
    }
  })
}

async function checkout(t: ExecutionContext): Promise<Checkout> {
  const root = await temporaryDirectory(t)
  const tools = join(root, 'tools')
  const log = join(root, 'calls.log')
  await chmod(root, 0o777)
  await mkdir(tools)
  await cp(join(projectRoot, 'scripts'), join(root, 'scripts'), { recursive: true })
  await writeFile(join(root, 'package-lock.json'), lockFile('1.0.0'))
  await writeFile(log, '')
  await chmod(log, 0o666)
  await symlink(process.execPath, join(tools, 'node'))
  for (const tool of ['sh', 'flock', 'mkdir', 'ln', 'touch', 'chmod', 'sleep', 'cp']) {
    await symlink(join('/usr/bin', tool), join(tools, tool))
  }
  const writeTool = (name: string, script: string): Promise<void> =>
    writeFile(join(tools, name), `#!/bin/sh\necho "${name} $*" >> ${log}\n${script}\n`, {
      mode: 0o755
    })
  await writeTool(
    'npm',
    `mkdir -p node_modules/.bin; ln -sf ${process.execPath} node_modules/.bin/node`
  )
  return {
    root,
    tools,
    writeTool,
    setup(args = [], { uid } = {}) {
      const command = [join(root, 'scripts/setup.mjs'), ...args]
      const env = { PATH: tools, npm_execpath: undefined, npm_node_execpath: undefined }
      return runProgram(t, process.execPath, command, { env, uid, cwd: '/' })
    },
    async calls() {
      return (await readFile(log, 'utf8')).split('\n').filter(line => line !== '')
    }
  }
}

function npmCalls(calls: readonly string[]): number {
  return calls.filter(call => call.startsWith('npm ci ')).length
}

test('packages are installed once, and a second set-up does and says nothing', async t => {
  const { setup, calls } = await checkout(t)
  const first = await setup()
  t.is(first.code, 0, first.stderr)
  t.regex(first.stderr, /installing npm packages/)
  t.deepEqual(await calls(), ['npm ci --include=dev --include=optional --no-audit --no-fund'])
  const second = await setup()
  t.deepEqual(second, { code: 0, signal: null, stdout: '', stderr: '' })
  t.is(npmCalls(await calls()), 1)
})

test('the code of an agent is compiled once the packages are there, and not with each set-up', async t => {
  const { tools, root, setup, calls, writeTool } = await checkout(t)
  await writeTool('bootswarm', 'exit 1')
  await symlink(tools, join(root, 'bin'))
  t.is((await setup()).code, 0)
  t.is((await setup()).code, 0)
  const agents = (await calls()).filter(call => call.startsWith('bootswarm agent --ticket none '))
  t.is(agents.length, 1)
})

test('packages are installed again after the lock file changed', async t => {
  const { root, setup, calls } = await checkout(t)
  await setup()
  await writeFile(join(root, 'package-lock.json'), lockFile('2.0.0'))
  t.is((await setup()).code, 0)
  t.is(npmCalls(await calls()), 2)
})

test('packages are installed again when the runtime is gone', async t => {
  const { root, setup, calls } = await checkout(t)
  await setup()
  await rm(join(root, 'node_modules/.bin/node'))
  t.is((await setup()).code, 0)
  t.is(npmCalls(await calls()), 2)
})

test('packages that somebody installed by hand count if they are those of the lock', async t => {
  const { root, setup, calls } = await checkout(t)
  await mkdir(join(root, 'node_modules/.bin'), { recursive: true })
  await symlink(process.execPath, join(root, 'node_modules/.bin/node'))
  const record = { packages: { 'node_modules/leaf': { version: '1.0.0' } } }
  await writeFile(join(root, 'node_modules/.package-lock.json'), JSON.stringify(record))
  t.is((await setup()).code, 0)
  t.is(npmCalls(await calls()), 0)

  await writeFile(join(root, 'package-lock.json'), lockFile('3.0.0'))
  t.is((await setup()).code, 0)
  t.is(npmCalls(await calls()), 1)
})

test('two set-ups at once install once', async t => {
  const { setup, calls, writeTool } = await checkout(t)
  await writeTool(
    'npm',
    `sleep 0.5; mkdir -p node_modules/.bin; ln -sf ${process.execPath} node_modules/.bin/node`
  )
  const all = await Promise.all([setup(), setup(), setup()])
  t.deepEqual(
    all.map(({ code }) => code),
    [0, 0, 0]
  )
  t.is(npmCalls(await calls()), 1)
})

test('what npm said is shown when it fails, and nothing is taken for installed', async t => {
  const { setup, calls, writeTool } = await checkout(t)
  await writeTool('npm', 'echo "E404 no such package" >&2; exit 9')
  const failed = await setup()
  t.is(failed.code, 1)
  t.regex(failed.stderr, /exit 9/)
  t.regex(failed.stderr, /E404 no such package/)
  await setup()
  t.is(npmCalls(await calls()), 2)
})

test('a missing npm is named', async t => {
  const { tools, setup } = await checkout(t)
  await rm(join(tools, 'npm'))
  const failed = await setup()
  t.is(failed.code, 1)
  t.regex(failed.stderr, /install: npm\n/)
})

test('an architecture without a runtime is told so', async t => {
  const { setup, writeTool } = await checkout(t)
  await writeTool('npm', 'mkdir -p node_modules/.bin')
  const failed = await setup()
  t.is(failed.code, 1)
  t.regex(failed.stderr, new RegExp(process.arch))
})

test('a runtime of another version, or one that does not run, is refused', async t => {
  const { setup, writeTool } = await checkout(t)
  const install = (script: string): Promise<void> =>
    writeTool(
      'npm',
      `mkdir -p node_modules/.bin; printf '#!/bin/sh\\n${script}\\n' > node_modules/.bin/node
       chmod +x node_modules/.bin/node`
    )
  await install('echo v22.1.0')
  const old = await setup()
  t.is(old.code, 1)
  t.regex(old.stderr, /v22\.1\.0/)
  await install('echo GLIBC not found >&2; exit 127')
  const broken = await setup()
  t.is(broken.code, 1)
  t.regex(broken.stderr, /GLIBC not found/)
})

test('a user who is not root is given one line to paste', async t => {
  const { setup, calls, writeTool } = await checkout(t)
  await writeTool('apt-get', 'exit 1')
  const failed = await setup(['--for', 'test'], { uid: nobody })
  t.is(failed.code, 1)
  const paste = `sudo apt-get install -y --no-install-recommends ${testPackages.join(' ')}`
  t.true(failed.stderr.split('\n').includes(paste), failed.stderr)
  t.false((await calls()).some(call => call.startsWith('apt-get')))
})

async function setupAsRoot(t: ExecutionContext, { root, tools }: Checkout): Promise<Finished> {
  const command = [process.execPath, join(root, 'scripts/setup.mjs'), '--for', 'test']
  const env = { PATH: tools, npm_execpath: undefined, npm_node_execpath: undefined }
  const [file = '', ...args] = isRoot ? command : ['/usr/bin/unshare', '-r', ...command]
  return runProgram(t, file, args, { env })
}

test('root gets what is missing, and only that, from apt', async t => {
  const checked = await checkout(t)
  await checked.writeTool('fio', '')
  const make = testPrograms.map(name => `cp ${checked.tools}/npm ${checked.tools}/${name}`)
  await checked.writeTool('apt-get', `case "$*" in *install*) ${make.join('; ')};; esac`)
  const done = await setupAsRoot(t, checked)
  t.is(done.code, 0, done.stderr)
  const apt = (await checked.calls()).filter(call => call.startsWith('apt-get'))
  t.is(apt.length, 2)
  t.regex(apt[0] ?? '', / update$/)
  const wanted = testPackages.filter(name => name !== 'fio').join(' ')
  t.true(apt[1]?.endsWith(` install -y --no-install-recommends ${wanted}`), apt[1])
  t.is((await setupAsRoot(t, checked)).stderr, '')
})

test('an update that fails does not stop an install that works', async t => {
  const checked = await checkout(t)
  const make = testPrograms.map(name => `cp ${checked.tools}/npm ${checked.tools}/${name}`)
  await checked.writeTool(
    'apt-get',
    `case "$*" in *update*) exit 100;; *) ${make.join('; ')};; esac`
  )
  const done = await setupAsRoot(t, checked)
  t.is(done.code, 0, done.stderr)
})

test('an install that fails shows what apt said', async t => {
  const checked = await checkout(t)
  await checked.writeTool(
    'apt-get',
    'case "$*" in *install*) echo "E: Unable to locate package" >&2; exit 100;; esac'
  )
  const failed = await setupAsRoot(t, checked)
  t.is(failed.code, 1)
  t.regex(failed.stderr, /Unable to locate package/)
})

test('an install after which a program is still missing is a failure', async t => {
  const checked = await checkout(t)
  await checked.writeTool('apt-get', '')
  const failed = await setupAsRoot(t, checked)
  t.is(failed.code, 1)
  t.regex(failed.stderr, /still no nbdinfo/)
})

test('wrong usage exits 2', async t => {
  const { setup, calls } = await checkout(t)
  for (const args of [['--for', 'fun'], ['--for'], ['demo'], ['--for', 'demo', 'more']]) {
    t.is((await setup(args)).code, 2)
  }
  t.deepEqual(await calls(), [])
})

test('a Node that is too old is told so', async t => {
  const { root } = await checkout(t)
  const pretend = `Object.defineProperty(process, 'versions', { value: { node: '18.19.0' } })`
  const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]
  const failed = await runProgram(t, process.execPath, [...args, join(root, 'scripts/setup.mjs')])
  t.is(failed.code, 1)
  t.regex(failed.stderr, /18\.19\.0.*Node 20/)
})

test('a checkout without its lock file is told so', async t => {
  const { root, setup } = await checkout(t)
  await rm(join(root, 'package-lock.json'))
  const failed = await setup()
  t.is(failed.code, 1)
  t.regex(failed.stderr, /package-lock\.json/)
})

test('the stamp changes with the lock file, not with its date', async t => {
  const { root, setup } = await checkout(t)
  await setup()
  const stamp = join(root, 'node_modules/.bootswarm-setup')
  const before = await stat(stamp)
  await appendFile(join(root, 'package-lock.json'), '')
  await setup()
  t.is((await stat(stamp)).mtimeMs, before.mtimeMs)
})
