import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Host } from './network.ts'

/** One object that a process printed, and when it came. */
export interface EventLine {
  readonly event: string
  /** Milliseconds of performance.now() at which the bench read it. */
  readonly atMs: number
  readonly [field: string]: unknown
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Where what it prints is kept: NAME.out and NAME.err. */
  readonly logFolder?: string
}

const stderrKept = 4_000
const stopMs = 10_000

/** A program in the namespace of a host, heard through the JSON lines that it prints. */
export class LabProcess {
  readonly name: string
  readonly exited: Promise<void>
  #child: ChildProcess
  #events: EventLine[] = []
  #listeners = new Set<() => void>()
  #stderr = ''
  #over = false

  constructor(host: Host, name: string, command: readonly string[], options: StartOptions = {}) {
    this.name = name
    // The death signal is for a bench that is killed and can clean nothing up.
    const inside = ['netns', 'exec', host.namespace, 'setpriv', '--pdeathsig', 'KILL', '--']
    this.#child = spawn('ip', [...inside, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env }
    })
    const keep = (kind: string): WriteStream | undefined =>
      options.logFolder === undefined
        ? undefined
        : createWriteStream(join(options.logFolder, `${name}.${kind}`))
    const [out, err] = [keep('out'), keep('err')]
    const { stdout, stderr } = this.#child
    if (stdout !== null) {
      createInterface({ input: stdout }).on('line', line => {
        out?.write(`${line}\n`)
        this.#hear(line)
      })
    }
    stderr?.on('data', (text: Buffer) => {
      err?.write(text)
      this.#stderr = (this.#stderr + text.toString()).slice(-stderrKept)
    })
    this.exited = once(this.#child, 'close').then(
      () => this.#end(),
      () => this.#end()
    )
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  get isOver(): boolean {
    return this.#over
  }

  get events(): readonly EventLine[] {
    return this.#events
  }

  latest(event: string): EventLine | undefined {
    return this.#events.findLast(line => line.event === event)
  }

  /** The first such event; rejects when the process ends without it, or with the signal's reason. */
  async until(event: string, signal: AbortSignal): Promise<EventLine> {
    for (;;) {
      signal.throwIfAborted()
      const found = this.#events.find(line => line.event === event)
      if (found !== undefined) return found
      if (this.#over) throw new Error(`${this.name} ended without '${event}': ${this.complaint()}`)
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#listeners.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#listeners.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    }
  }

  complaint(): string {
    const error = this.latest('error')
    if (typeof error?.message === 'string') return error.message
    return this.#stderr.trim().split('\n').slice(-5).join('\n')
  }

  async stop(): Promise<void> {
    if (this.#over) return
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), stopMs)
    await this.exited
    clearTimeout(late)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  #hear(line: string): void {
    try {
      const fields = JSON.parse(line) as { event: string }
      this.#events.push({ ...fields, atMs: performance.now() })
    } catch {
      // A line for people; what counts comes as JSON.
      return
    }
    this.#wake()
  }

  #end(): void {
    this.#over = true
    this.#wake()
  }

  #wake(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
