import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { launcherFor } from '../../src/netboot/index.ts'
import { run, start, type RunningProcess } from './processes.ts'

// The carrier without a machine: in a root of its own, with programs in place of the agent's that say what those
// would. What a shutdown sees of it is what /proc shows.

const carrier = fileURLToPath(new URL('../../bootstrap/first-stage/carrier.sh', import.meta.url))
const waitMs = 60_000

const bootswarm = `#!/bin/sh
case $1 in
  agent)
    echo '{"event":"ready","size":4096}'
    echo '{"event":"attached","device":"/dev/nbd0","size":4096}'
    until [ -e /state/go ]; do sleep 0.1; done
    echo '{"event":"complete"}'
    ;;
esac
exec sleep 1000
`

class Home {
  readonly path: string
  readonly #process: RunningProcess

  private constructor(path: string, process: RunningProcess) {
    this.path = path
    this.#process = process
  }

  static async start(t: ExecutionContext, writes: 'keep' | 'discard' = 'keep'): Promise<Home> {
    const path = await mkdtemp(join(tmpdir(), 'bootswarm-carrier-'))
    t.teardown(() => rm(path, { recursive: true, force: true }))
    for (const name of ['bin', 'dev', 'lib', 'state']) await mkdir(join(path, name))
    const busybox = (await run('sh', ['-c', 'command -v busybox'])).trim()
    await copyFile(busybox, join(path, 'bin/busybox'))
    for (const name of ['sh', 'cat', 'cp', 'kill', 'sleep', 'stat', 'mkfifo', 'rm']) {
      await symlink('busybox', join(path, 'bin', name))
    }
    for (const [name, bytes] of [
      ['bootswarm', bootswarm],
      ['node', '#!/bin/sh\necho "$@" >/state/handing-over\n'],
      ['dmsetup', '#!/bin/sh\ncat /state/device\n'],
      ['launch', launcherFor('x64')],
      ['carrier', await readFile(carrier)]
    ] as const) {
      await writeFile(join(path, 'bin', name), bytes)
      await chmod(join(path, 'bin', name), 0o755)
    }
    await writeFile(join(path, 'dev/null'), '')
    const settings = { ticket: 'T', image: 'i', disk: '/dev/vda', writes, consent: '' }
    for (const [name, text] of Object.entries({ ...settings, name: 'm' })) {
      await writeFile(join(path, 'state', name), text)
    }
    // What it leaves behind, a sleep at most, is not to hold our pipes.
    const launch = 'exec chroot "$0" /bin/launch /bin/busybox @bootswarm/sh /bin/carrier >/dev/null'
    return new Home(path, start(t, 'carrier', 'sh', ['-c', `${launch} 2>&1`, path]))
  }

  async state(name: string): Promise<string | undefined> {
    return readFile(join(this.path, 'state', name), 'utf8').catch(() => undefined)
  }

  async write(name: string, text = ''): Promise<void> {
    await writeFile(join(this.path, 'state', name), text)
  }

  /** What the kernel's log would show. */
  async log(): Promise<string> {
    return readFile(join(this.path, 'dev/kmsg'), 'utf8').catch(() => '')
  }

  async pid(program: string): Promise<number> {
    return Number(await this.state(`${program}.pid`))
  }

  stop(): Promise<number | string> {
    return this.#process.stop()
  }
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly name: string
}

async function processes(): Promise<Process[]> {
  const found: Process[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    const name = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    found.push({ pid: Number(entry), parent: Number(parent), state, name })
  }
  return found
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + waitMs; !(await isSo());) {
    if (Date.now() > end) throw new Error(`not within ${waitMs / 1000} s: ${what}`)
    await sleep(50)
  }
}

async function hasEnded(pid: number): Promise<boolean> {
  const found = (await processes()).find(process => process.pid === pid)
  return found === undefined || found.state === 'Z'
}

test('after a hand-over a shutdown finds nothing of the carrier to wait for', async t => {
  const home = await Home.start(t)
  await until('attached', async () => (await home.state('said-attached')) !== undefined)
  await home.write('go')
  await until('handed over', async () => (await home.log()).includes('needs nobody'))
  const aside = await home.pid('hand-over')
  await until(`the end of ${aside}`, () => hasEnded(aside))
  const all = await processes()
  const ours = all.filter(({ name }) => name.startsWith('@bootswarm/sh'))
  t.true(ours.length > 0)
  const left = all.filter(
    ({ state, parent }) => state === 'Z' && ours.some(({ pid }) => pid === parent)
  )
  t.deepEqual(left, [])
})

test('the carrier starts an agent again that has ended, and takes all with it when it is told to end', async t => {
  const home = await Home.start(t)
  await until('attached', async () => (await home.state('said-attached')) !== undefined)
  const first = await home.pid('agent')
  process.kill(first, 'SIGKILL')
  await until('another agent', async () => ![0, first].includes(await home.pid('agent')))
  const programs = ['agent', 'keeper-of-agent', 'keeper-of-log']
  const pids = await Promise.all(programs.map(name => home.pid(name)))
  t.is(await home.stop(), 0)
  for (const pid of pids) await until(`the end of ${pid}`, () => hasEnded(pid))
})

test('where writes are discarded the device below is handed over, and the console says how much room is left', async t => {
  const home = await Home.start(t, 'discard')
  await until('attached', async () => (await home.state('said-attached')) !== undefined)
  await home.write('go')
  await until('handed over', async () => (await home.log()).includes('needs nobody'))
  t.regex((await home.state('handing-over')) ?? '', / --name bootswarm-image$/m)
  await home.write('device', '0 8388608 snapshot 79/100 16')
  t.false((await home.log()).includes('four fifths'))
  await home.write('device', '0 8388608 snapshot 81/100 16')
  await until('a warning', async () => (await home.log()).includes('four fifths'))
  await home.write('device', '0 8388608 snapshot Invalid')
  await until('what to do', async () => (await home.log()).includes('is full: it must be started'))
})
