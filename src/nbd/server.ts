import { createServer, type Server, type Socket } from 'node:net'
import { BootswarmError, setSendBuffer, type Logger } from '../base/index.ts'
import { formatNbdAddress, isLocal, nbdUri, type NbdAddress } from './address.ts'
import { BufferPool } from './buffer-pool.ts'
import { Connection } from './connection.ts'
import type { NbdExport, NbdExports } from './exports.ts'
import { MemoryBudget } from './memory-budget.ts'
import { listen, requireListenable, type Listening } from './listener.ts'
import { nbdLimits, type NbdLimits } from './nbd-limits.ts'
import type { NbdTls } from './tls.ts'
import { stringBytesMax } from './wire.ts'

export interface NbdServerOptions {
  readonly address: NbdAddress
  /** The first is what a client gets who names none. A function is asked at each handshake. */
  readonly exports: readonly NbdExport[] | NbdExports
  /** Clients have to encrypt; other machines may then reach the address. */
  readonly tls?: NbdTls
  /**
   * Another server will take its place: clients that wait when it closes are cut off instead of told
   * ESHUTDOWN, which a kernel would turn into an I/O error; cut off, it connects again and asks again.
   */
  readonly comesBack?: boolean
  /** Allows an address that other machines can reach. */
  readonly insecure?: boolean
  readonly logger: Logger
  /** In place of those in base/limits.ts, for tests. */
  readonly limits?: Partial<NbdLimits>
}

export interface NbdServer {
  /** Where it really listens: `unix:PATH` or `HOST:PORT`. */
  readonly address: string
  /** The same as an NBD URI, for `nbdcopy` and friends. */
  readonly uri: string
  /** Clients connected now. */
  connections(): number
  /**
   * Takes no more clients, lets requests under way finish, answers ESHUTDOWN to those that do not
   * or, if it comes back, cuts them off, and removes the socket file. Takes at most twice `limits.nbdCloseMs`. May be called again.
   */
  close(): Promise<void>
}

/** TCP only: a client whose machine died without a word is noticed after some minutes. */
const keepAliveInitialDelay = 30_000

/**
 * Serves block devices over NBD (docs/nbd.md). Throws ERR_ADDRESS_INSECURE, ERR_ADDRESS_IN_USE,
 * ERR_ADDRESS_INVALID or ERR_NAME_INVALID.
 */
export async function startNbdServer(options: NbdServerOptions): Promise<NbdServer> {
  requireSafe(options)
  if (typeof options.exports !== 'function') requireNames(options.exports)
  const server = new ClientServer(options)
  await server.open(options.address)
  return server
}

/**
 * Throws what `startNbdServer` would throw for the address now, for a caller that has much to do
 * before it can serve.
 */
export async function checkNbdAddress(
  options: Pick<NbdServerOptions, 'address' | 'insecure' | 'tls'>
): Promise<void> {
  requireSafe(options)
  await requireListenable(options.address)
}

class ClientServer implements NbdServer {
  readonly #options: NbdServerOptions
  readonly #limits: NbdLimits
  readonly #server: Server
  readonly #pool: BufferPool
  readonly #budget: MemoryBudget
  readonly #exports: NbdExports
  readonly #connections = new Set<Connection>()
  #listening: Listening | undefined
  #clientsSeen = 0
  #closing: Promise<void> | undefined

  constructor(options: NbdServerOptions) {
    this.#options = options
    this.#limits = nbdLimits(options.limits)
    this.#pool = new BufferPool(this.#limits.nbdIdleBufferBytesMax)
    const { nbdServerBytesMax, nbdStuckMs } = this.#limits
    this.#budget = new MemoryBudget(nbdServerBytesMax, nbdStuckMs, () => this.#dropStuck())
    const { exports } = options
    this.#exports = typeof exports === 'function' ? exports : () => exports
    const settings = { noDelay: true, keepAlive: true, keepAliveInitialDelay }
    this.#server = createServer(settings, socket => this.#welcome(socket))
    this.#server.maxConnections = this.#limits.nbdConnectionsMax
    this.#server.on('drop', () => {
      options.logger.warn('nbd client turned away', { connections: this.#connections.size })
    })
  }

  get address(): string {
    return formatNbdAddress(this.#boundAddress())
  }

  get uri(): string {
    return nbdUri(this.#boundAddress())
  }

  connections(): number {
    return this.#connections.size
  }

  async open(address: NbdAddress): Promise<void> {
    const { logger } = this.#options
    this.#listening = await listen(this.#server, address).catch((error: unknown) => {
      this.#server.close()
      throw error
    })
    this.#server.on('error', error => logger.warn('nbd listener failed', { reason: error.message }))
    logger.debug('nbd server listens', { address: this.address })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { nbdCloseMs } = this.#limits
    this.#server.close()
    await this.#listening?.cleanUp()
    const connections = [...this.#connections]
    const allClosed = Promise.all(connections.map(connection => connection.closed))
    for (const connection of connections) connection.stop()
    const timers = [
      setTimeout(() => connections.forEach(connection => connection.giveUp()), nbdCloseMs),
      setTimeout(() => connections.forEach(connection => connection.destroy()), 2 * nbdCloseMs)
    ]
    await allClosed
    for (const timer of timers) clearTimeout(timer)
  }

  #welcome(socket: Socket): void {
    const from = socket.remoteAddress === undefined ? 'unix' : socket.remoteAddress
    const client = `${++this.#clientsSeen} from ${from}`
    const { tls, comesBack = false, logger } = this.#options
    widen(socket, this.#limits.nbdSendBufferBytes)
    const connection = new Connection({
      socket,
      exports: this.#exports,
      limits: this.#limits,
      pool: this.#pool,
      budget: this.#budget,
      tls,
      comesBack,
      logger,
      client
    })
    this.#connections.add(connection)
    void connection.closed.then(() => {
      this.#connections.delete(connection)
      logger.debug('nbd client gone', { client })
    })
  }

  /** Others wait for the memory of replies that nobody takes. */
  #dropStuck(): void {
    const now = performance.now()
    for (const connection of this.#connections) {
      if (connection.stuckMs(now) < this.#limits.nbdStuckMs) continue
      this.#options.logger.warn('nbd client dropped', { reason: 'it takes no replies' })
      connection.destroy()
    }
  }

  #boundAddress(): NbdAddress {
    return this.#listening?.address ?? this.#options.address
  }
}

/**
 * While the kernel has something for the client, the next reply can be made. Node gives the number of
 * a socket's descriptor nowhere else; without it the socket is as wide as it was.
 */
function widen(socket: Socket, bytes: number): void {
  const { _handle: handle } = socket as { _handle?: { fd?: number } }
  if (handle?.fd !== undefined && handle.fd >= 0) setSendBuffer(handle.fd, bytes)
}

function requireSafe({
  address,
  insecure,
  tls
}: Pick<NbdServerOptions, 'address' | 'insecure' | 'tls'>): void {
  if (insecure === true || tls !== undefined || isLocal(address)) return
  throw new BootswarmError(
    'ERR_ADDRESS_INSECURE',
    `${formatNbdAddress(address)} can be reached from other machines, without any protection; use unix:PATH or 127.0.0.1:PORT, protect it with --tls-certificates or --tls-psk, or allow it with --insecure`
  )
}

function requireNames(exports: readonly NbdExport[]): void {
  if (exports.length === 0) throw new BootswarmError('ERR_INTERNAL', 'no export to serve by NBD')
  for (const { name, description } of exports) {
    if (Math.max(Buffer.byteLength(name), Buffer.byteLength(description)) > stringBytesMax) {
      throw new BootswarmError(
        'ERR_NAME_INVALID',
        `the NBD export '${name.slice(0, 40)}…' has a name or description of more than ${stringBytesMax} bytes`
      )
    }
  }
}
