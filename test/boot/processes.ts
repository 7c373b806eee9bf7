import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'

const execute = promisify(execFile)

const stopGraceMs = 10_000
const stderrTailChars = 2000
const stdoutBytesMax = 64 * 1024 * 1024

/** What a test lends to what it starts: an end, and a place for notes. A bench has one of its own. */
export type Life = Pick<ExecutionContext, 'teardown' | 'log' | 'passed'>

/**
 * For a guest's kernel: each program lies at the same addresses whenever it is started. QEMU's software emulation
 * keeps what it translated by virtual address, page by page of memory; with other addresses in each process the
 * lists of a page of busybox or libc grew until QEMU spent a minute, measured, in walking them.
 */
export const sameAddresses = 'norandmaps'

/** Runs a tool to its end and gives its standard output; a failure carries what it said. */
export async function run(command: string, args: string[]): Promise<string> {
  const { stdout } = await execute(command, args, { maxBuffer: stdoutBytesMax })
  return stdout
}

/** A long-running child whose standard output is watched. */
export class RunningProcess {
  readonly name: string
  /** All of standard output so far. */
  output = ''
  #errors = ''
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #changes = new EventEmitter()

  constructor(
    name: string,
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    outputFile?: string
  ) {
    this.name = name
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
      this.#changes.emit('change')
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-stderrTailChars)
    })
    // `close` comes after the last output; a program that cannot be started gives an error instead.
    child.on('close', () => this.#changes.emit('change'))
    child.on('error', error => {
      this.#errors += String(error)
      this.#changes.emit('change')
    })
    child.stdin.on('error', () => undefined)
    if (outputFile !== undefined) child.stdout.pipe(createWriteStream(outputFile))
  }

  /** Waits until `find` finds what it looks for in the output. */
  async waitFor<T>(
    what: string,
    timeoutMs: number,
    find: (output: string) => T | undefined
  ): Promise<T> {
    const signal = AbortSignal.timeout(timeoutMs)
    for (;;) {
      const found = find(this.output)
      if (found !== undefined) return found
      if (this.#hasEnded()) throw new Error(`${this.name} ended before ${what}. ${this.#end()}`)
      try {
        await once(this.#changes, 'change', { signal })
      } catch (cause) {
        const message = `${this.name}: no ${what} within ${timeoutMs / 1000} s. ${this.#end()}`
        throw new Error(message, { cause })
      }
    }
  }

  type(text: string): void {
    this.#child.stdin.write(text)
  }

  /** Resolves to the exit code, or to the name of the signal that ended the process. */
  async ended(timeoutMs: number): Promise<number | string> {
    const signal = AbortSignal.timeout(timeoutMs)
    while (!this.#hasEnded()) await once(this.#changes, 'change', { signal })
    return this.#child.exitCode ?? this.#child.signalCode ?? 'not started'
  }

  /** Asks the process to stop, and resolves to how it ended. */
  async stop(): Promise<number | string> {
    this.#child.kill('SIGTERM')
    return this.ended(stopGraceMs)
  }

  /** Ends the process and whatever it started. */
  kill(): void {
    if (this.#child.pid === undefined) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // The whole group has ended already.
    }
  }

  #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child
    return pid === undefined || exitCode !== null || signalCode !== null
  }

  #end(): string {
    return `Standard error ends with: ${this.#errors.trim() || '(nothing)'}`
  }
}

const notKilled = new Set<RunningProcess>()
process.once('exit', () => {
  for (const started of notKilled) started.kill()
})

/** Starts a program that is killed, with its children, when the test ends. */
export function start(
  t: Life,
  name: string,
  command: string,
  args: string[],
  outputFile?: string
): RunningProcess {
  // A group of its own, so that killing it leaves no grandchild behind.
  const child = spawn(command, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const started = new RunningProcess(name, child, outputFile)
  notKilled.add(started)
  t.teardown(() => {
    notKilled.delete(started)
    started.kill()
  })
  return started
}
