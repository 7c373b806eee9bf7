import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { BootswarmError } from '../base/index.ts'

const launcher = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))
const stderrKept = 4_000

export interface EventLine {
  readonly event: string
  readonly [field: string]: unknown
}

/** A `bootswarm` command as a process of its own, heard through what it prints with --json. */
export class Child {
  readonly name: string
  readonly startedAt = performance.now()
  #process: ChildProcess
  #events: EventLine[] = []
  #stderr = ''
  #heard = new Set<() => void>()
  #exited: Promise<unknown>
  #isOver = false

  constructor(name: string, args: readonly string[]) {
    this.name = name
    this.#process = spawn(launcher, [...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.#process
    if (stdout !== null) createInterface({ input: stdout }).on('line', line => this.#hear(line))
    stderr?.on('data', (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-stderrKept)
    })
    this.#exited = once(this.#process, 'close').then(() => {
      this.#isOver = true
      this.#wake()
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  latest(event: string): EventLine | undefined {
    return this.#events.findLast(line => line.event === event)
  }

  /** Rejects when the process ends before it says so, or with the signal's reason. */
  async until(event: string, signal: AbortSignal): Promise<EventLine> {
    for (;;) {
      signal.throwIfAborted()
      const found = this.latest(event)
      if (found !== undefined) return found
      if (this.#isOver) throw this.#failure()
      await new Promise<void>(resolve => {
        this.#heard.add(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  /** SIGTERM, and SIGKILL for what does not heed it in time. */
  async stop(): Promise<void> {
    if (this.#isOver) return
    this.#process.kill('SIGTERM')
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), 10_000)
    await this.#exited
    clearTimeout(kill)
  }

  #hear(line: string): void {
    try {
      this.#events.push(JSON.parse(line) as EventLine)
    } catch {
      // Not ours to understand; the process itself is what is judged.
      return
    }
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#heard) resolve()
    this.#heard.clear()
  }

  #failure(): BootswarmError {
    const error = this.latest('error')
    const why = typeof error?.message === 'string' ? error.message : this.#stderr.trim()
    return new BootswarmError(
      'ERR_DEMO_FAILED',
      `${this.name} ended before its work was done: ${why}`
    )
  }
}
