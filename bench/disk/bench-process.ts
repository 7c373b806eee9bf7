import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export interface PrintedEvent {
  readonly event?: string
  readonly seconds?: number
  readonly bytesFromSeed?: number
  readonly bytesFromPeers?: number
}

const patienceMs = 60_000

/** A program that the bench starts, stops for a while, and ends. */
export class BenchProcess {
  readonly events: PrintedEvent[] = []
  readonly #child: ChildProcess
  readonly #name: string

  constructor(name: string, command: string, args: readonly string[]) {
    this.#name = name
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    if (this.#child.stdout === null) return
    createInterface({ input: this.#child.stdout }).on('line', line => {
      if (line.startsWith('{')) this.events.push(JSON.parse(line) as PrintedEvent)
    })
  }

  async until(event: string): Promise<void> {
    await this.untilTrue(() => this.events.some(line => line.event === event))
  }

  async untilExists(path: string): Promise<void> {
    await this.untilTrue(() =>
      access(path).then(
        () => true,
        () => false
      )
    )
  }

  async untilTrue(holds: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + patienceMs
    while (!(await holds())) {
      if (performance.now() > end) throw new Error(`${this.#name} is not ready`)
      if (this.#child.exitCode !== null) throw new Error(`${this.#name} ended`)
      await sleep(20)
    }
  }

  /** While others are measured. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  goOn(): void {
    this.#child.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.goOn()
    this.#child.kill('SIGTERM')
    await exited
  }
}
