import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ContenderName } from './workloads.ts'

export interface Contender {
  readonly name: ContenderName
  readonly uri: string
  begin(): void
  /** The 99th percentile of the event loop's delay since `begin`, where there is one. */
  end(): Promise<number | undefined>
  stop(): void
}

const server = fileURLToPath(new URL('./disk-server.ts', import.meta.url))
const launched = ['--max-semi-space-size=1', '--heap-growing-percent=50']
const memory = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072'
}

/** Our own server, as bin/bootswarm starts an agent; it makes the file that the others serve too. */
export async function startBootswarm(directory: string): Promise<Contender> {
  const socket = join(directory, 'bootswarm.sock')
  const child = fork(server, [join(directory, 'disk'), socket], {
    execArgv: launched,
    env: { ...process.env, ...memory }
  })
  await once(child, 'message')
  return {
    name: 'bootswarm',
    uri: uriOf(socket),
    begin: () => child.send('begin'),
    async end() {
      child.send('end')
      const [{ p99Ms }] = (await once(child, 'message')) as [{ p99Ms: number }]
      return p99Ms
    },
    stop: () => child.disconnect()
  }
}

export function startNbdkit(directory: string): Promise<Contender> {
  const socket = join(directory, 'nbdkit.sock')
  const args = ['--foreground', '--unix', socket, 'file', join(directory, 'disk')]
  return startForeign('nbdkit', spawn('nbdkit', args, { stdio: 'ignore' }), socket)
}

export function startQemuNbd(directory: string): Promise<Contender> {
  const socket = join(directory, 'qemu-nbd.sock')
  const shared = ['--format=raw', '--persistent', '--shared=8', '--cache=writeback']
  const args = [...shared, `--socket=${socket}`, join(directory, 'disk')]
  return startForeign('qemu-nbd', spawn('qemu-nbd', args, { stdio: 'ignore' }), socket)
}

async function startForeign(
  name: ContenderName,
  child: ChildProcess,
  socket: string
): Promise<Contender> {
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
  failed.catch(() => {})
  while (!(await exists(socket))) {
    if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`)
    await Promise.race([sleep(20), failed])
  }
  return {
    name,
    uri: uriOf(socket),
    begin: () => {},
    end: () => Promise.resolve(undefined),
    stop: () => void child.kill()
  }
}

function uriOf(socket: string): string {
  return `nbd+unix:///?socket=${socket}`
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
