import type { Socket } from 'node:net'
import type { ErrorCode, Logger } from '../base/index.ts'
import type { BufferPool } from './buffer-pool.ts'
import { ByteQueue } from './byte-queue.ts'
import type { NbdExport } from './exports.ts'
import { Handshake } from './handshake.ts'
import type { NbdLimits } from './nbd-limits.ts'
import { ReplyWriter } from './reply-writer.ts'
import { handleRequest, type Reply } from './request-handler.ts'
import { RequestParser } from './request-parser.ts'
import { bytesHeldFor } from './request-rules.ts'
import { commands, nameOf, replyErrors, type Request } from './wire.ts'

export interface ConnectionOptions {
  readonly socket: Socket
  readonly exports: readonly NbdExport[]
  readonly limits: NbdLimits
  /** Shared by all connections of a server. */
  readonly pool: BufferPool
  readonly logger: Logger
  /** How logs call the client. */
  readonly client: string
}

interface Transmission {
  readonly target: NbdExport
  readonly parser: RequestParser
}

/**
 * One client, from its first byte to its last. It joins the pure parts (handshake, parser, handler)
 * to a socket, and bounds what the client can make the server hold: while requests under way or
 * replies not taken are too many, no further request is begun and, soon, nothing more is read.
 */
export class Connection {
  /** Resolves when the socket is closed, whoever closed it. */
  readonly closed: Promise<void>

  readonly #socket: Socket
  readonly #limits: NbdLimits
  readonly #pool: BufferPool
  readonly #logger: Logger
  readonly #client: string
  readonly #bytes = new ByteQueue()
  readonly #handshake: Handshake
  readonly #writer: ReplyWriter
  /** Aborts when the client is gone, or will get no answer any more. */
  readonly #gone = new AbortController()
  /** Requests begun and not answered. */
  readonly #pending = new Set<Request>()
  #pendingBytes = 0
  #transmission: Transmission | undefined
  /** `leaving`: the client said DISC, what it asked before is still done. `over`: nothing is. */
  #phase: 'open' | 'leaving' | 'over' = 'open'
  /** The server is closing: further requests are refused. */
  #stopping = false
  /** The next request has to wait for replies to be made or taken. */
  #blocked = false
  #deviceFailed = false
  #timer: NodeJS.Timeout

  constructor({ socket, exports, limits, pool, logger, client }: ConnectionOptions) {
    this.#socket = socket
    this.#limits = limits
    this.#pool = pool
    this.#logger = logger
    this.#client = client
    this.#handshake = new Handshake(exports, limits)
    this.#writer = new ReplyWriter(socket)
    this.#timer = setTimeout(() => this.#drop('no export chosen in time'), limits.nbdHandshakeMs)
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        this.#lose()
        resolve()
      })
    })
    socket.on('data', (piece: Buffer) => this.#receive(piece))
    socket.on('drain', () => this.#advance())
    socket.on('end', () => this.#lose())
    socket.on('error', error => {
      logger.debug('nbd socket failed', { client, error: error.message })
    })
    socket.write(this.#handshake.greeting())
  }

  /** Begins no further request; closes when those under way are answered. */
  stop(): void {
    this.#stopping = true
    if (this.#transmission === undefined) this.destroy()
    else this.#finishIfIdle()
  }

  /** Answers ESHUTDOWN to whatever is still under way, and closes. */
  giveUp(): void {
    for (const { cookie } of this.#pending) this.#writer.send(cookie, replyErrors.ESHUTDOWN)
    this.#pending.clear()
    this.#gone.abort()
    this.#finish()
  }

  destroy(): void {
    this.#lose()
  }

  #receive(piece: Buffer): void {
    if (this.#phase !== 'open') return
    this.#bytes.push(piece)
    this.#advance()
  }

  #advance(): void {
    if (this.#transmission === undefined) this.#haggle()
    if (this.#transmission !== undefined) this.#transmit(this.#transmission)
    // Reading on a little while requests wait is how the client's end is noticed behind them.
    const behind = this.#blocked && this.#bytes.length > this.#limits.nbdReadAheadBytesMax
    if (behind && this.#phase === 'open') this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }

  #haggle(): void {
    while (this.#phase === 'open' && this.#transmission === undefined) {
      const step = this.#handshake.next(this.#bytes)
      if (step === undefined) return
      if (step.kind === 'violation') return this.#drop(step.reason)
      this.#socket.write(step.bytes)
      if (step.kind === 'goodbye') this.#finish()
      if (step.kind === 'transmission') this.#begin(step.target)
    }
  }

  #begin(target: NbdExport): void {
    clearTimeout(this.#timer)
    const bounds = { size: target.device.size, readOnly: target.readOnly }
    this.#transmission = { target, parser: new RequestParser(bounds, this.#limits, this.#pool) }
    this.#logger.debug('nbd client opened an export', {
      client: this.#client,
      export: target.name
    })
  }

  #transmit({ target, parser }: Transmission): void {
    this.#blocked = false
    while (this.#phase === 'open') {
      const step = parser.next(this.#bytes, this.#admit)
      if (step === undefined) return
      switch (step.kind) {
        case 'run':
          this.#run(step.request, step.payload, target)
          break
        case 'refuse':
          this.#logger.debug('nbd request refused', {
            client: this.#client,
            command: nameOf(commands, step.request.command),
            error: nameOf(replyErrors, step.error),
            offset: step.request.offset,
            length: step.request.length
          })
          this.#writer.send(step.request.cookie, step.error)
          break
        case 'disconnect':
          this.#phase = 'leaving'
          this.#finishIfIdle()
          break
        case 'violation':
          this.#drop(step.reason)
          break
      }
    }
  }

  readonly #admit = (bytes: number): boolean => {
    const limits = this.#limits
    // Only what will be followed by a "drain" may be waited for.
    const buffered = this.#socket.writableNeedDrain ? this.#socket.writableLength : 0
    const held = this.#pendingBytes + buffered
    this.#blocked =
      this.#pending.size >= limits.nbdConnectionRequestsMax ||
      (held > 0 && held + bytes > limits.nbdConnectionBytesMax)
    if (!this.#blocked) this.#pendingBytes += bytes
    return !this.#blocked
  }

  #run(request: Request, payload: Buffer, target: NbdExport): void {
    if (this.#stopping) {
      this.#pendingBytes -= bytesHeldFor(request)
      this.#writer.send(request.cookie, replyErrors.ESHUTDOWN)
      return
    }
    this.#pending.add(request)
    void handleRequest(request, payload, target.device, this.#gone.signal).then(reply => {
      // A device that failed may still be at it; one that resolved has let go of the bytes.
      if (reply.error === replyErrors.NONE) this.#pool.giveBack(payload)
      this.#answer(request, reply)
    })
  }

  #answer(request: Request, reply: Reply): void {
    // Whoever cleared the set has answered, or there is nobody left to answer.
    if (!this.#pending.delete(request)) return
    this.#pendingBytes -= bytesHeldFor(request)
    if (reply.error !== replyErrors.NONE) this.#report(request, reply)
    this.#writer.send(request.cookie, reply.error, reply.payload)
    if (this.#blocked) this.#advance()
    this.#finishIfIdle()
  }

  /** A failing disk fails many requests; one warning a connection says it, the rest are for debugging. */
  #report(request: Request, reply: Reply): void {
    const fields = {
      client: this.#client,
      command: nameOf(commands, request.command),
      offset: request.offset,
      length: request.length,
      answered: nameOf(replyErrors, reply.error),
      reason: reply.cause instanceof Error ? reply.cause.message : String(reply.cause)
    }
    if (this.#deviceFailed) this.#logger.debug('nbd request failed', fields)
    else this.#logger.warn('nbd request failed', fields)
    this.#deviceFailed = true
  }

  #finishIfIdle(): void {
    if (this.#pending.size > 0) return
    if (this.#phase === 'leaving' || (this.#stopping && this.#phase === 'open')) this.#finish()
  }

  /** Lets the replies out that are written, then closes; what the client still sends is discarded. */
  #finish(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#limits.nbdCloseMs)
    this.#socket.resume()
    this.#socket.end()
  }

  #drop(reason: string): void {
    const code: ErrorCode = 'ERR_NBD_PROTOCOL'
    this.#logger.warn('nbd client dropped', { client: this.#client, code, reason })
    this.#lose()
  }

  #lose(): void {
    clearTimeout(this.#timer)
    this.#phase = 'over'
    this.#pending.clear()
    this.#gone.abort()
    this.#socket.destroy()
  }
}
