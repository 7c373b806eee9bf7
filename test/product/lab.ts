import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import type { ExecutionContext } from 'ava'
import { NbdClient, nbdUri, parseNbdAddress } from '../../src/nbd/index.ts'
import { decodeTicket, encodeTicket } from '../../src/swarm/index.ts'
import {
  runBootswarm,
  runProgram,
  startBootswarm,
  temporaryDirectory,
  type Finished,
  type PrintedEvent,
  type RunningProcess
} from '../helpers/process.ts'

// A lab on this host: a store, a seed and agents as the processes that their users start, each in a
// directory that goes with the test.

/** The machine may be busy with other tests: what takes this long has failed. */
export const patienceMs = 90_000

export interface Imported {
  readonly cid: string
  readonly size: number
  readonly storedBytes: number
}

export interface AgentOptions {
  /** The name of its disk and socket too. */
  readonly name: string
  readonly image?: string
  readonly ticket?: string
  readonly extra?: readonly string[]
  /** Beside the environment of the test. */
  readonly env?: NodeJS.ProcessEnv
}

export class Lab {
  readonly directory: string
  readonly store: string
  readonly #t: ExecutionContext

  static async make(t: ExecutionContext): Promise<Lab> {
    return new Lab(t, await temporaryDirectory(t))
  }

  private constructor(t: ExecutionContext, directory: string) {
    this.#t = t
    this.directory = directory
    this.store = this.path('store')
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  run(...args: string[]): Promise<Finished> {
    return runBootswarm(this.#t, args)
  }

  async importImage(path: string, name: string): Promise<Imported> {
    const args = ['image', 'import', path, '--name', name, '--store', this.store, '--json']
    const { code, stdout, stderr } = await this.run(...args)
    this.#t.is(code, 0, stderr)
    return lastObject(stdout) as unknown as Imported
  }

  /** Ready. A port of 0 is any free one; `seedPort` tells which, for the seed that comes after it. */
  async startSeed(port = 0): Promise<RunningProcess> {
    const listen = ['--listen', `/ip4/127.0.0.1/tcp/${port}`, '--http', '127.0.0.1:0']
    const seed = startBootswarm(this.#t, ['seed', '--store', this.store, ...listen, '--json'])
    await seed.waitForEvent('ready', { timeoutMs: patienceMs })
    return seed
  }

  async ticket(): Promise<string> {
    const { code, stdout, stderr } = await this.run('ticket', '--store', this.store)
    this.#t.is(code, 0, stderr)
    return stdout.trim()
  }

  async status(): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run('status', '--store', this.store, '--json')
    this.#t.is(code, 0, stderr)
    return JSON.parse(stdout) as Record<string, unknown>
  }

  /** Started, not yet ready; the image is `lab` and the ticket a new one unless told otherwise. */
  async startAgent({
    name,
    image = 'lab',
    ticket,
    extra = [],
    env
  }: AgentOptions): Promise<LabAgent> {
    const args = [
      ...['agent', '--ticket', ticket ?? (await this.ticket()), '--image', image, '--name', name],
      ...['--disk', this.path(`${name}.disk`), '--nbd', `unix:${this.path(`${name}.sock`)}`],
      ...['--listen', '/ip4/127.0.0.1/tcp/0', '--json', ...extra]
    ]
    const process = startBootswarm(this.#t, args, { env })
    return new LabAgent(this.#t, process, this.path(`${name}.disk`), this.path(`${name}.sock`))
  }
}

export class LabAgent {
  readonly process: RunningProcess
  readonly disk: string
  readonly socket: string
  readonly #t: ExecutionContext

  constructor(t: ExecutionContext, process: RunningProcess, disk: string, socket: string) {
    this.#t = t
    this.process = process
    this.disk = disk
    this.socket = socket
  }

  get uri(): string {
    return nbdUri(parseNbdAddress(`unix:${this.socket}`))
  }

  /** The first event of that name. */
  until(event: string, where?: (event: PrintedEvent) => boolean): Promise<PrintedEvent> {
    return this.process.waitForEvent(event, { timeoutMs: patienceMs, where })
  }

  has(event: string): boolean {
    return this.process.events.some(printed => printed.event === event)
  }

  async client(): Promise<NbdClient> {
    const client = await NbdClient.connect(parseNbdAddress(`unix:${this.socket}`))
    // The agent may be gone before the test is; then there is nobody to say goodbye to.
    this.#t.teardown(() => client.close().catch(() => {}))
    return client
  }

  read(): Promise<Buffer> {
    return readFile(this.disk)
  }
}

/** Runs a client to its end and gives back what it printed; the test fails if the client does. */
export async function succeed(
  t: ExecutionContext,
  file: string,
  ...args: string[]
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(t, file, args)
  t.is(code, 0, `${file} ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

export function lastObject(text: string): Record<string, unknown> {
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>
}

export function portOf(address: string): number {
  const part = multiaddr(address)
    .getComponents()
    .find(component => component.name === 'tcp')
  return Number(part?.value)
}

export function seedPort(seed: RunningProcess): number {
  const [ready] = seed.events
  const [address = ''] = (ready?.addresses ?? []) as string[]
  return portOf(address)
}

/**
 * The same ticket, with each seed behind a link of so many bytes a second from the seed: whoever
 * joins with it streams slowly, so that there is time to do things meanwhile.
 */
export async function slowTicket(
  t: ExecutionContext,
  ticket: string,
  bytesPerSecond: number
): Promise<string> {
  const decoded = decodeTicket(ticket)
  const seeds = decoded.seeds.map(async seed => {
    const port = await slowLink(t, portOf(seed), bytesPerSecond)
    return seed.replace(/\/tcp\/\d+\//, `/tcp/${port}/`)
  })
  return encodeTicket({ ...decoded, seeds: await Promise.all(seeds) })
}

async function slowLink(t: ExecutionContext, port: number, bytesPerSecond: number) {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const seed = connect(port, '127.0.0.1')
    client.pipe(seed)
    trickle(seed, client, bytesPerSecond)
    for (const [socket, other] of [
      [client, seed],
      [seed, client]
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

function trickle(from: Socket, to: Socket, bytesPerSecond: number): void {
  from.on('data', bytes => {
    to.write(bytes)
    from.pause()
    void sleep((bytes.length / bytesPerSecond) * 1000).then(() => from.resume())
  })
  from.on('end', () => to.end())
}
