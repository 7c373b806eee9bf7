import type { Socket } from 'node:net'
import { messageOf, type Logger } from '../base/index.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { ByteQueue } from './byte-queue.ts'
import type { NbdExport, Terms } from './exports.ts'
import type { MemoryBudget } from './memory-budget.ts'
import type { NbdLimits } from './nbd-limits.ts'
import { encodeDone, encodeReadHeader, encodeReply } from './reply-encoder.ts'
import { ReplyWriter } from './reply-writer.ts'
import { handleRequest, type Reply } from './request-handler.ts'
import { RequestParser, type RequestStep } from './request-parser.ts'
import { bytesHeldFor } from './request-rules.ts'
import { commandFlags, commands, nameOf, replyErrors, type Request } from './wire.ts'

type Ending = Extract<RequestStep, { kind: 'disconnect' | 'violation' }>

export interface TransmissionInit {
  readonly socket: Socket
  readonly target: NbdExport
  readonly terms: Terms
  readonly limits: NbdLimits
  readonly pool: BufferPool
  readonly budget: MemoryBudget
  readonly logger: Logger
  /** How logs call the client. */
  readonly client: string
  /** A request was answered, or memory is to be had: there may be more to do, or nothing any more. */
  onProgress(): void
  onAnswered(): void
}

/** When reads of so many bytes have been begun, everybody else has a turn of the event loop. */
const turnBytes = 256 * 1024

/**
 * One client's requests, from their bytes to their replies. It bounds what the client can make the
 * server hold: while requests under way or replies not taken are too many, no further one is begun.
 */
export class Transmission {
  readonly #init: TransmissionInit
  readonly #parser: RequestParser
  readonly #writer: ReplyWriter
  /** Aborts when the client is gone, or will get no answer any more. */
  readonly #gone = new AbortController()
  /** Requests begun and not answered. */
  readonly #pending = new Set<Request>()
  /** Of requests under way, and of replies that the kernel has not taken. */
  #heldBytes = 0
  #stopping = false
  /** The next request has to wait for replies to be made or taken. */
  #blocked = false
  /** Replies were made in the turn in which their requests came. */
  #answeredNow = false
  /** Of reads, since the last rest. */
  #turnBytes = 0
  /** Until the next turn of the event loop no request is begun. */
  #resting = false
  #deviceFailed = false

  constructor(init: TransmissionInit) {
    this.#init = init
    const { target, terms, limits, pool, socket } = init
    const bounds = { ...terms, size: target.device.size, readOnly: target.readOnly }
    this.#parser = new RequestParser(bounds, limits, pool)
    this.#writer = new ReplyWriter(socket, pool, this.#onTaken)
  }

  get blocked(): boolean {
    return this.#blocked
  }

  /** Requests begun and not answered. */
  get underWay(): number {
    return this.#pending.size
  }

  /** For how long the client has taken nothing of what waits for it, in ms. */
  stuckMs(now: number): number {
    return this.#writer.stuckMs(now)
  }

  /** Where the next bytes are to be read to, once all that has come is taken; undefined: anywhere. */
  get place(): Buffer | undefined {
    return this.#parser.place
  }

  /** Takes bytes that were read to `place`; false if they were not. */
  takePlaced(bytes: Buffer): boolean {
    return this.#parser.takePlaced(bytes)
  }

  /** Begins what the bytes ask for; what it returns ends the connection. */
  advance(bytes: ByteQueue): Ending | undefined {
    if (this.#resting) return undefined
    this.#blocked = false
    const ending = this.#begin(bytes)
    if (this.#answeredNow) this.sendReplies()
    return ending
  }

  /** Sends what is ready; otherwise it leaves at the end of the turn. */
  sendReplies(): void {
    this.#answeredNow = false
    this.#writer.flush()
  }

  #begin(bytes: ByteQueue): Ending | undefined {
    for (;;) {
      const step = this.#parser.next(bytes, this.#admit)
      switch (step?.kind) {
        case undefined:
          return undefined
        case 'run':
          this.#run(step.request, step.payload)
          if (this.#hasHadItsTurn(step.request)) return this.#rest()
          break
        case 'refuse':
          this.#refuse(step)
          break
        case 'disconnect':
        case 'violation':
          return step
      }
    }
  }

  #hasHadItsTurn({ command, length }: Request): boolean {
    if (command === commands.READ) this.#turnBytes += length
    return this.#turnBytes >= turnBytes
  }

  /**
   * What was read shall be on its way before more is: made all at once, replies would fill memory that
   * the processor's caches do not hold (docs/nbd.md has the figures), and everybody else would wait.
   */
  #rest(): undefined {
    this.#turnBytes = 0
    this.#resting = true
    this.#blocked = true
    setImmediate(() => {
      this.#resting = false
      this.#init.onProgress()
    })
  }

  /** Requests that come from now on are refused: the server is closing. */
  stop(): void {
    this.#stopping = true
  }

  /** Answers ESHUTDOWN to whatever is under way. */
  giveUp(): void {
    for (const request of this.#pending) {
      this.#writer.send(this.#encode(request, { error: replyErrors.ESHUTDOWN }))
    }
    this.abandon()
  }

  /** Nobody waits for answers any more. */
  abandon(): void {
    this.#pending.clear()
    this.#gone.abort()
    this.#init.budget.forget(this.#retry)
    this.#init.budget.give(this.#heldBytes)
    this.#heldBytes = 0
  }

  readonly #retry = (): void => this.#init.onProgress()

  readonly #admit = (bytes: number): boolean => {
    const { limits, socket, budget } = this.#init
    // Only what will be followed by a "drain" may be waited for.
    const buffered = socket.writableNeedDrain ? socket.writableLength : 0
    const held = Math.max(this.#heldBytes, buffered)
    this.#blocked =
      this.#pending.size >= limits.nbdConnectionRequestsMax ||
      (held > 0 && held + bytes > limits.nbdConnectionBytesMax) ||
      this.#writer.unsentBytes > limits.nbdUnsentBytesMax ||
      !budget.take(bytes, this.#heldBytes, this.#retry)
    if (!this.#blocked) this.#heldBytes += bytes
    return !this.#blocked
  }

  #run(request: Request, payload: Buffer): void {
    if (this.#stopping) {
      this.#send(request, { error: replyErrors.ESHUTDOWN })
      return
    }
    if (this.#readNow(request) || this.#writeNow(request, payload)) return
    this.#pending.add(request)
    this.#runLonger(request, this.#lasting(payload))
  }

  #runLonger(request: Request, payload: Buffer): void {
    const { target, terms, limits, pool } = this.#init
    const serving = { device: target.device, terms, limits, pool }
    void handleRequest(request, payload, serving, this.#gone.signal).then(reply => {
      // A device that failed may still be at it; one that resolved has let go of the bytes.
      if (reply.error === replyErrors.NONE) pool.giveBack(payload)
      this.#answer(request, reply)
    })
  }

  /** What the parser did not have to gather lies where the next bytes of the client will. */
  #lasting(payload: Buffer): Buffer {
    const { pool } = this.#init
    if (payload.length === 0 || pool.isOwn(payload)) return payload
    const kept = pool.take(payload.length)
    payload.copy(kept)
    return kept
  }

  #answer(request: Request, reply: Reply): void {
    // Whoever cleared the set has answered, or there is nobody left to answer.
    if (!this.#pending.delete(request)) {
      this.#giveBack(reply)
      return
    }
    if (reply.cause !== undefined) this.#report(request, reply)
    this.#send(request, reply)
    // Nothing else is about to be ready: what others do in this turn would be waited for.
    if (this.underWay === 0) this.sendReplies()
    this.#init.onAnswered()
    if (this.#blocked || this.underWay === 0) this.#init.onProgress()
  }

  /** A write that the device takes a copy of is answered without a promise. */
  #writeNow(request: Request, payload: Buffer): boolean {
    const { command, flags, offset, length } = request
    if (command !== commands.WRITE || length === 0 || (flags & commandFlags.FUA) !== 0) return false
    const { pool, target } = this.#init
    if (target.device.writeNow?.(offset, payload) !== true) return false
    pool.giveBack(payload)
    this.#letGo(bytesHeldFor(request))
    this.#writer.add(encodeDone(this.#init.terms.style, request))
    this.#answeredNow = true
    return true
  }

  /** A small read of what is at hand is answered without a promise, from where it was read to. */
  #readNow(request: Request): boolean {
    const { target, terms } = this.#init
    const { command, offset, length } = request
    if (command !== commands.READ || length === 0 || target.device.readNow === undefined)
      return false
    const header = encodeReadHeader(terms.style, request)
    const place = this.#writer.place(header.length + length)
    if (place === undefined) return false
    if (!target.device.readNow(offset, place.subarray(header.length))) return false
    place.set(header)
    this.#writer.fill(place.length, length)
    this.#answeredNow = true
    return true
  }

  #refuse({ request, error }: Extract<RequestStep, { kind: 'refuse' }>): void {
    this.#init.logger.debug('nbd request refused', {
      ...this.#describe(request),
      error: nameOf(replyErrors, error)
    })
    this.#writer.send(this.#encode(request, { error }))
  }

  /** The memory of a request is held until the kernel has its reply. */
  #send(request: Request, reply: Reply): void {
    const pieces = this.#encode(request, reply)
    const bytes = bytesHeldFor(request)
    if (reply.content === undefined) {
      this.#letGo(bytes)
      this.#writer.send(pieces)
      return
    }
    this.#writer.send(pieces, bytes, () => this.#giveBack(reply))
  }

  #giveBack({ content = [] }: Reply): void {
    for (const piece of content) if (piece.kind === 'data') this.#init.pool.giveBack(piece.bytes)
  }

  #letGo(bytes: number): void {
    // Nothing is held any more by whoever was abandoned.
    if (this.#heldBytes === 0) return
    this.#heldBytes -= bytes
    this.#init.budget.give(bytes)
  }

  readonly #onTaken = (heldBytes: number): void => {
    this.#letGo(heldBytes)
    if (this.#blocked) this.#init.onProgress()
  }

  #encode(request: Request, reply: Reply): Uint8Array[] {
    return encodeReply(this.#init.terms.style, request, reply)
  }

  #describe({ command, offset, length }: Request) {
    return { client: this.#init.client, command: nameOf(commands, command), offset, length }
  }

  /** A failing disk fails many requests; one warning a connection says it, the rest are for debugging. */
  #report(request: Request, { error, cause }: Reply): void {
    const { logger } = this.#init
    const fields = {
      ...this.#describe(request),
      answered: nameOf(replyErrors, error),
      reason: messageOf(cause)
    }
    if (this.#deviceFailed) logger.debug('nbd request failed', fields)
    else logger.warn('nbd request failed', fields)
    this.#deviceFailed = true
  }
}
