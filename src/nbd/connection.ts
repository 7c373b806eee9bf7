import type { Socket } from 'node:net'
import { limits, readDirectly, type ErrorCode, type Logger } from '../base/index.ts'
import type { BufferPool } from './buffer-pool.ts'
import { ByteQueue } from './byte-queue.ts'
import type { NbdExports } from './exports.ts'
import { Handshake, type HandshakeStep } from './handshake.ts'
import type { MemoryBudget } from './memory-budget.ts'
import type { NbdLimits } from './nbd-limits.ts'
import type { TLSSocket } from 'node:tls'
import type { NbdTls } from './tls.ts'
import { Transmission } from './transmission.ts'
import { Wakefulness } from './wakefulness.ts'

export interface ConnectionOptions {
  readonly socket: Socket
  readonly exports: NbdExports
  readonly limits: NbdLimits
  /** Shared by all connections of a server, as `budget` is. */
  readonly pool: BufferPool
  readonly budget: MemoryBudget
  /** Without it nothing is encrypted, with it everything is. */
  readonly tls?: NbdTls
  /** Whether a client that connects again will be served again: then it gets no ESHUTDOWN. */
  readonly comesBack: boolean
  readonly logger: Logger
  /** How logs call the client. */
  readonly client: string
}

/** Once an export is chosen, all clients are read into it: each takes what it was sent before the next is read. */
const readBuffer = Buffer.allocUnsafeSlow(limits.nbdReadBufferBytes)

/**
 * One client, from its first byte to its last: it joins the pure handshake and the transmission to a
 * socket. While no further request may begin, nothing more is read, soon.
 */
export class Connection {
  /** Resolves when the socket is closed, whoever closed it. */
  readonly closed: Promise<void>

  readonly #options: ConnectionOptions
  readonly #bytes = new ByteQueue()
  readonly #wakefulness = new Wakefulness(() => this.#transmission?.underWay ?? 0)
  readonly #handshake: Handshake
  readonly #closed = Promise.withResolvers<void>()
  #socket: Socket
  #transmission: Transmission | undefined
  /** `leaving`: the client said DISC, what it asked before is still done. `over`: nothing is. */
  #phase: 'open' | 'securing' | 'leaving' | 'over' = 'open'
  /** The server is closing. */
  #stopping = false
  #timer: NodeJS.Timeout

  constructor(options: ConnectionOptions) {
    const { socket, exports, limits, tls } = options
    this.#options = options
    this.#socket = socket
    this.closed = this.#closed.promise
    this.#handshake = new Handshake(exports, limits, tls === undefined ? 'none' : 'required')
    this.#timer = setTimeout(() => this.#drop('no export chosen in time'), limits.nbdHandshakeMs)
    this.#listen(socket)
    socket.write(this.#handshake.greeting())
  }

  /**
   * Begins no further request; closes when those under way are answered. A client that is still
   * choosing is told at its next option.
   */
  stop(): void {
    this.#stopping = true
    this.#handshake.stop()
    this.#transmission?.stop()
    this.#finishIfIdle()
  }

  /** Ends the connection with requests unanswered, or answers ESHUTDOWN to them first. */
  giveUp(): void {
    if (this.#transmission === undefined || this.#options.comesBack) {
      this.destroy()
      return
    }
    this.#transmission.giveUp()
    this.#finish()
  }

  destroy(): void {
    this.#lose()
  }

  stuckMs(now: number): number {
    return this.#transmission?.stuckMs(now) ?? 0
  }

  #listen(socket: Socket): void {
    socket.once('close', () => {
      this.#lose()
      this.#closed.resolve()
    })
    socket.on('data', this.#receive)
    socket.on('drain', () => this.#advance())
    socket.on('end', () => this.#lose())
    socket.on('error', error => {
      const { client, logger } = this.#options
      logger.debug('nbd socket failed', { client, error: error.message })
      this.#lose()
    })
  }

  readonly #receive = (piece: Buffer): void => {
    if (this.#phase !== 'open') return
    if (this.#transmission !== undefined) this.#wakefulness.heard()
    if (this.#transmission?.takePlaced(piece) !== true) this.#bytes.lend(piece)
    this.#advance()
    this.#bytes.keep()
  }

  /** A large payload is read to where it is kept, once all that came before it is taken. */
  readonly #place = (): Buffer | undefined =>
    this.#bytes.length === 0 ? this.#transmission?.place : undefined

  readonly #advance = (): void => {
    while (this.#phase === 'open' && this.#transmission === undefined) {
      const step = this.#handshake.next(this.#bytes)
      if (step === undefined) break
      this.#follow(step)
    }
    if (this.#transmission !== undefined) this.#transmit(this.#transmission)
    this.#finishIfIdle()
    if (this.#phase !== 'open') return
    // Reading on a little while requests wait is how the client's end is noticed behind them.
    const waiting = this.#transmission?.blocked === true || this.#leavesUnread
    const behind = waiting && this.#bytes.length > this.#options.limits.nbdReadAheadBytesMax
    if (behind) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }

  /** What a client asks of a closing server that comes back, it will ask again then. */
  get #leavesUnread(): boolean {
    return this.#stopping && this.#options.comesBack
  }

  #follow(step: HandshakeStep): void {
    if (step.kind === 'violation') {
      this.#drop(step.reason)
      return
    }
    this.#socket.write(step.bytes)
    if (step.kind === 'goodbye') this.#finish()
    if (step.kind === 'secure') this.#secure()
    if (step.kind === 'transmission') this.#begin(step)
  }

  #begin({ target, terms }: Extract<HandshakeStep, { kind: 'transmission' }>): void {
    clearTimeout(this.#timer)
    const { limits, pool, budget, logger, client } = this.#options
    this.#transmission = new Transmission({
      socket: this.#socket,
      target,
      terms,
      limits,
      pool,
      budget,
      logger,
      client,
      onProgress: this.#advance,
      onAnswered: () => this.#wakefulness.answered()
    })
    logger.debug('nbd client opened an export', { client, export: target.name })
    if (readDirectly(this.#socket, readBuffer, this.#receive, this.#place)) {
      this.#socket.removeListener('data', this.#receive)
    }
  }

  /** The plain socket's bytes belong to TLS from here on. */
  #secure(): void {
    const { tls, client, logger } = this.#options
    if (tls === undefined) return
    this.#phase = 'securing'
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    plain.removeAllListeners('drain')
    const secured = (socket: TLSSocket): void => {
      logger.debug('nbd client is encrypted', { client, protocol: socket.getProtocol() })
      if (this.#phase !== 'securing') {
        socket.destroy()
        return
      }
      this.#socket = socket
      this.#phase = 'open'
      this.#listen(socket)
    }
    tls(plain, secured, reason => this.#drop(reason))
  }

  #transmit(transmission: Transmission): void {
    if (this.#phase !== 'open' || this.#leavesUnread) return
    const ending = transmission.advance(this.#bytes)
    if (ending?.kind === 'violation') this.#drop(ending.reason)
    if (ending?.kind === 'disconnect') this.#phase = 'leaving'
  }

  #finishIfIdle(): void {
    if (this.#transmission?.underWay !== 0) return
    if (this.#phase === 'leaving' || (this.#stopping && this.#phase === 'open')) this.#finish()
  }

  /** Lets the replies out that are written, then closes; what the client still sends is discarded. */
  #finish(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#options.limits.nbdCloseMs)
    this.#transmission?.sendReplies()
    this.#socket.resume()
    this.#socket.end()
  }

  #drop(reason: string): void {
    const code: ErrorCode = 'ERR_NBD_PROTOCOL'
    const { logger, client } = this.#options
    logger.warn('nbd client dropped', { client, code, reason })
    this.#lose()
  }

  #lose(): void {
    clearTimeout(this.#timer)
    this.#phase = 'over'
    this.#transmission?.abandon()
    this.#socket.destroy()
  }
}
