import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootswarmError, errorCatalogue, type ErrorCode, type Logger } from '../base/index.ts'

export interface FurtherInit {
  /** Program and arguments of each, without what is told here; they print the events of a seed. */
  readonly commands: readonly (readonly string[])[]
  readonly logger: Logger
  /** The addresses of one of them are known, or others than before. */
  onReady(): void
}

const restartMs = 1_000

/**
 * The other processes of a seed that uses several cores. Each is a seed of its own to machines, with a key and
 * a port of its own, on the same store: chunks are shared among them as among seeds on different hosts,
 * and when one dies the others do its part until it is back.
 */
export class FurtherProcesses {
  readonly #init: FurtherInit
  readonly #processes: FurtherProcess[]
  readonly #stop = new AbortController()
  #keeping: Promise<void>[] = []

  /** When one of them cannot begin, none is left: it throws what that one said. */
  static async start(init: FurtherInit): Promise<FurtherProcesses> {
    const further = new FurtherProcesses(init)
    try {
      await Promise.all(further.#processes.map(one => one.begin()))
    } catch (error) {
      await further.stop()
      throw error
    }
    further.#keeping = further.#processes.map(one => further.#keep(one))
    return further
  }

  private constructor(init: FurtherInit) {
    this.#init = init
    this.#processes = init.commands.map(command => new FurtherProcess(command))
  }

  get addresses(): string[] {
    return this.#processes.flatMap(({ addresses }) => addresses)
  }

  /** Frame bytes handed to machines since the start, as far as they have said. */
  get bytesSent(): number {
    return this.#processes.reduce((sum, { bytesSent }) => sum + bytesSent, 0)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#processes.map(one => one.end()))
    await Promise.all(this.#keeping)
  }

  /** One that dies is started again, for as long as the seed runs. */
  async #keep(one: FurtherProcess): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await one.ended
      if (signal.aborted) return
      const why = one.failure?.message ?? 'it did not say why'
      this.#init.logger.warn('a process of the seed has ended; it is started again', { why })
      await sleep(restartMs, undefined, { signal }).catch(() => {
        // The seed stops.
      })
      if (signal.aborted) return
      await one.begin().then(
        () => this.#init.onReady(),
        (error: unknown) => this.#init.logger.warn('it cannot be started', { error })
      )
    }
  }
}

class FurtherProcess {
  addresses: readonly string[] = []
  /** Settles when it has ended. */
  ended: Promise<unknown> = Promise.resolve()
  /** What it said that it ended of; it says so here only. */
  failure: BootswarmError | undefined
  readonly #command: readonly string[]
  #child: ChildProcess | undefined
  #sentBefore = 0
  #sent = 0

  constructor(command: readonly string[]) {
    this.#command = command
  }

  get bytesSent(): number {
    return this.#sentBefore + this.#sent
  }

  async begin(): Promise<void> {
    const [program = '', ...options] = this.#command
    this.#sentBefore += this.#sent
    this.#sent = 0
    // It ends by itself when the channel does: with this process, however that ends.
    const child = spawn(program, options, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    this.#child = child
    this.ended = once(child, 'exit')
    const ready = Promise.withResolvers<void>()
    this.failure = undefined
    createInterface(child.stdout as NodeJS.ReadableStream).on('line', line => {
      const event = JSON.parse(line) as Record<string, unknown>
      if (event.event === 'progress') this.#sent = Number(event.bytesSent)
      if (event.event === 'error' && isCode(event.code)) {
        this.failure = new BootswarmError(
          event.code,
          `a process of the seed has failed: ${String(event.message)}`
        )
      }
      if (event.event !== 'ready') return
      this.addresses = event.addresses as string[]
      ready.resolve()
    })
    child.on('error', ready.reject)
    child.on('close', () => ready.reject(this.failure ?? unexplained()))
    await ready.promise
  }

  async end(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await this.ended
  }
}

function unexplained(): BootswarmError {
  return new BootswarmError('ERR_INTERNAL', 'a process of the seed could not begin')
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCatalogue, code)
}
