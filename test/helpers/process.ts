import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { ExecutionContext } from 'ava'

// Runs the product as its users do: as processes that print JSON lines. Whatever a test starts ends
// with the test, passed or failed.

export const projectRoot = resolve(import.meta.dirname, '../..')
export const launcherPath = join(projectRoot, 'bin/bootswarm')

/** One object that a process printed with --json. */
export interface PrintedEvent {
  readonly event: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ProcessOptions {
  readonly cwd?: string
  /** Added to the environment of the test; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly stdin?: string
  /** The user to run as; only root may choose. */
  readonly uid?: number
}

export interface RunningProcess {
  readonly pid: number
  /** Every event so far, in order. */
  readonly events: readonly PrintedEvent[]
  /** What went to stdout and is not an event, in lines. */
  readonly lines: readonly string[]
  readonly stderr: () => string
  /**
   * The first event of that name, already printed or yet to come. Rejects when the process ends
   * without it, or after `timeoutMs` (default 30 s), and says what the process printed instead.
   */
  readonly waitForEvent: (name: string, options?: WaitOptions) => Promise<PrintedEvent>
  readonly exited: Promise<Exit>
  /** SIGTERM, then the exit. */
  readonly stop: () => Promise<Exit>
  /** SIGKILL for the process and all that it started, then the exit. */
  readonly kill: () => Promise<Exit>
}

export interface WaitOptions {
  readonly timeoutMs?: number
  readonly where?: (event: PrintedEvent) => boolean
}

export interface Finished extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** An empty directory that is removed after the test. */
export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bootswarm-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

export function startBootswarm(
  t: ExecutionContext,
  args: readonly string[],
  options?: ProcessOptions
): RunningProcess {
  return startProgram(t, launcherPath, args, options)
}

export function runBootswarm(
  t: ExecutionContext,
  args: readonly string[],
  options?: ProcessOptions
): Promise<Finished> {
  return runProgram(t, launcherPath, args, options)
}

/** Runs a program to its end; never rejects for an exit code. */
export async function runProgram(
  t: ExecutionContext,
  file: string,
  args: readonly string[],
  options?: ProcessOptions
): Promise<Finished> {
  const running = startProgram(t, file, args, options)
  const exit = await running.exited
  const stdout = running.lines.map(line => `${line}\n`).join('')
  return { ...exit, stdout, stderr: running.stderr() }
}

export function startProgram(
  t: ExecutionContext,
  file: string,
  args: readonly string[],
  options: ProcessOptions = {}
): RunningProcess {
  // A group of its own, so that its children go with it; and a death signal, because a test that ava
  // ends for its time-out runs no teardown.
  const child = spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', file, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    uid: options.uid,
    gid: options.uid,
    detached: true,
    stdio: 'pipe'
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')

  const events: PrintedEvent[] = []
  const lines: string[] = []
  const listeners = new Set<() => void>()
  let stderr = ''
  let ended = false
  const reader = createInterface({ input: child.stdout })
  reader.on('line', line => {
    const event = parseEvent(line)
    lines.push(line)
    if (event !== undefined) events.push(event)
    for (const listener of listeners) listener()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))

  const exited = waitForExit().finally(() => {
    ended = true
    for (const listener of listeners) listener()
  })
  exited.catch(() => {})
  t.teardown(async () => {
    signalGroup('SIGKILL')
    await exited.catch(() => {})
  })

  async function waitForExit(): Promise<Exit> {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return { code, signal }
  }

  function signalGroup(signal: NodeJS.Signals): void {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // ESRCH: the whole group has ended, which is what was wanted.
    }
  }

  function printed(): string {
    return `stdout:\n${lines.slice(-20).join('\n')}\nstderr:\n${stderr.slice(-4000)}`
  }

  return {
    pid: child.pid ?? -1,
    events,
    lines,
    stderr: () => stderr,
    exited,
    waitForEvent(name, { timeoutMs = 30_000, where = () => true } = {}) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => fail(`no event '${name}' within ${timeoutMs} ms`), timeoutMs)
        const fail = (why: string): void => {
          settle()
          reject(new Error(`${file} ${args.join(' ')}: ${why}\n${printed()}`))
        }
        const settle = (): void => {
          clearTimeout(timer)
          listeners.delete(look)
        }
        const look = (): void => {
          const found = events.find(event => event.event === name && where(event))
          if (found !== undefined) {
            settle()
            resolve(found)
          } else if (ended) fail(`ended without an event '${name}'`)
        }
        listeners.add(look)
        look()
      })
    },
    async stop() {
      child.kill('SIGTERM')
      return exited
    },
    async kill() {
      signalGroup('SIGKILL')
      return exited
    }
  }
}

function parseEvent(line: string): PrintedEvent | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(line)
    return isEvent(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isEvent(value: unknown): value is PrintedEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'event' in value &&
    typeof value.event === 'string'
  )
}
