import type { BufferPool } from './buffer-pool.ts'
import type { ByteQueue } from './byte-queue.ts'
import type { NbdLimits } from './nbd-limits.ts'
import { bytesHeldFor, requestError, type ExportBounds } from './request-rules.ts'
import {
  commands,
  decodeRequest,
  extendedRequestBytes,
  replyErrors,
  requestBytes,
  type ReplyError,
  type Request
} from './wire.ts'

export type RequestStep =
  /**
   * Do it. `payload` is what the request brought, if anything: from the pool, which may have it back
   * afterwards, or from what arrived last, which holds it only until more arrives.
   */
  | { readonly kind: 'run'; readonly request: Request; readonly payload: Buffer }
  /** Answer with the error; its payload has been skipped. */
  | { readonly kind: 'refuse'; readonly request: Request; readonly error: ReplyError }
  /** The client takes its leave. */
  | { readonly kind: 'disconnect' }
  /** Close at once: where the next request begins is not known. */
  | { readonly kind: 'violation'; readonly reason: string }

/**
 * Whether a request may begin now that makes the server hold so many bytes. It is asked again for
 * the same request until it says yes, and then holds them.
 */
export type Admission = (bytes: number) => boolean

interface Incoming {
  readonly request: Request
  readonly error: ReplyError
  admitted: boolean
  /** Undefined until bytes of the payload have to be gathered. */
  payload: Buffer | undefined
  /** How much of the payload has been taken. */
  taken: number
}

const nothing = Buffer.alloc(0)

/** With less of a payload to come, other requests are likely to come with it in one read. */
const placedBytesMin = 16 * 1024

/** Turns one client's transmission bytes, however they are split, into checked requests. */
export class RequestParser {
  readonly #bounds: ExportBounds
  readonly #limits: NbdLimits
  readonly #pool: BufferPool
  readonly #headerBytes: number
  readonly #decode: (bytes: Buffer, at: number) => Request | undefined
  #incoming: Incoming | undefined

  constructor(bounds: ExportBounds, limits: NbdLimits, pool: BufferPool) {
    this.#bounds = bounds
    this.#limits = limits
    this.#pool = pool
    this.#decode = (bytes, at) => decodeRequest(bytes, bounds.style, at)
    this.#headerBytes = bounds.style === 'extended' ? extendedRequestBytes : requestBytes
  }

  /** Undefined until more bytes are here or, after `admit` said no, until it would say yes. */
  next(bytes: ByteQueue, admit: Admission): RequestStep | undefined {
    if (this.#incoming === undefined) {
      if (bytes.length < this.#headerBytes) return undefined
      const request = bytes.decode(this.#headerBytes, this.#decode)
      if (request === undefined) return violation('a request without its magic')
      if (request.command === commands.DISC) return { kind: 'disconnect' }
      if (request.payloadLength > this.#limits.nbdRequestBytesMax) {
        return violation(`a request with ${request.payloadLength} bytes behind it`)
      }
      const error = requestError(request, this.#bounds, this.#limits.nbdRequestBytesMax)
      this.#incoming = { request, error, admitted: false, payload: undefined, taken: 0 }
    }
    return this.#finish(this.#incoming, bytes, admit)
  }

  /** Where the bytes of a payload that is being gathered are to be read to, if that is worth it. */
  get place(): Buffer | undefined {
    const { payload, taken } = this.#incoming ?? {}
    if (payload === undefined || taken === undefined) return undefined
    return payload.length - taken < placedBytesMin ? undefined : payload.subarray(taken)
  }

  /** Takes bytes that were read to `place`; false if they were not. */
  takePlaced(bytes: Buffer): boolean {
    const incoming = this.#incoming
    if (incoming?.payload?.buffer !== bytes.buffer) return false
    incoming.taken += bytes.length
    return true
  }

  #finish(incoming: Incoming, bytes: ByteQueue, admit: Admission): RequestStep | undefined {
    const { request, error } = incoming
    const refused = error !== replyErrors.NONE
    incoming.admitted ||= admit(refused ? 0 : bytesHeldFor(request))
    if (!incoming.admitted) return undefined
    const complete = refused
      ? skipPayload(incoming, bytes)
      : gatherPayload(incoming, bytes, this.#pool)
    if (!complete) return undefined
    this.#incoming = undefined
    if (refused) return { kind: 'refuse', request, error }
    return { kind: 'run', request, payload: incoming.payload ?? nothing }
  }
}

function violation(reason: string): RequestStep {
  return { kind: 'violation', reason }
}

function skipPayload(incoming: Incoming, bytes: ByteQueue): boolean {
  const length = incoming.request.payloadLength
  incoming.taken += bytes.skip(length - incoming.taken)
  return incoming.taken === length
}

/** A payload that arrived in one piece is used where it lies; others are gathered as they come. */
function gatherPayload(incoming: Incoming, bytes: ByteQueue, pool: BufferPool): boolean {
  const length = incoming.request.payloadLength
  if (length === 0) return true
  if (incoming.payload === undefined) {
    incoming.payload = bytes.takeWhole(length)
    if (incoming.payload !== undefined) return true
    incoming.payload = pool.take(length)
  }
  incoming.taken += bytes.drainInto(incoming.payload, incoming.taken)
  return incoming.taken === length
}
