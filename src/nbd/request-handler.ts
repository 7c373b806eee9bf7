import {
  BootswarmError,
  isErrorCode,
  systemErrorCode,
  type BlockDevice,
  type Extent
} from '../base/index.ts'
import type { BufferPool } from './buffer-pool.ts'
import { statusOf, type MetaContext } from './contexts.ts'
import type { Terms } from './exports.ts'
import type { NbdLimits } from './nbd-limits.ts'
import type { StatusExtent } from './reply-wire.ts'
import {
  commandFlags,
  commands,
  decodeStatusQuery,
  nameOf,
  replyErrors,
  type ReplyError,
  type Request
} from './wire.ts'

/** Part of what a READ gives back: bytes, or a run of zeros that need not be sent. */
export type Content =
  | { readonly kind: 'data'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'hole'; readonly offset: number; readonly length: number }

export interface Reply {
  readonly error: ReplyError
  /** What a READ gives back: exactly the range asked for, in order, in one piece or several. */
  readonly content?: readonly Content[]
  /** What BLOCK_STATUS gives back: one a context. */
  readonly statuses?: readonly { readonly context: number; readonly extents: StatusExtent[] }[]
  /** What the device threw, for the log. */
  readonly cause?: unknown
}

/** What a request is carried out with. */
export interface Serving {
  readonly device: BlockDevice
  readonly terms: Terms
  readonly limits: NbdLimits
  /** Where reads may put what they read; who sends the reply gives it back. */
  readonly pool: BufferPool
}

/** What to reply where there is nothing to give back. */
export const done: Reply = { error: replyErrors.NONE }

/**
 * Does what a checked request asks of the device. It never rejects: what the device throws becomes
 * the reply's error. A read waits as long as the device does; `signal` ends it when the client is gone.
 */
export async function handleRequest(
  request: Request,
  payload: Buffer,
  serving: Serving,
  signal: AbortSignal
): Promise<Reply> {
  try {
    return await carryOut(request, payload, serving, signal)
  } catch (cause) {
    return failed(cause)
  }
}

/** What to reply to a request for which the device threw. */
export function failed(cause: unknown): Reply {
  return { error: replyErrorOf(cause), cause }
}

async function carryOut(
  request: Request,
  payload: Buffer,
  serving: Serving,
  signal: AbortSignal
): Promise<Reply> {
  const { device } = serving
  const { command, offset, length } = request
  switch (command) {
    case commands.READ:
      return length === 0
        ? done
        : { error: replyErrors.NONE, content: await read(request, serving, signal) }
    case commands.WRITE:
      if (length > 0) await device.write(offset, payload)
      return (request.flags & commandFlags.FUA) === 0 ? done : durable(request, device)
    case commands.WRITE_ZEROES:
      if (!(await zero(request, serving, signal))) return { error: replyErrors.ENOTSUP }
      return durable(request, device)
    case commands.TRIM:
      if (length > 0) await device.trim?.(offset, length)
      return durable(request, device)
    case commands.FLUSH:
      await device.flush()
      return done
    case commands.CACHE:
      if (length > 0) await device.prefetch?.(offset, length, signal)
      return done
    case commands.BLOCK_STATUS:
      return status(request, payload, serving, signal)
    default:
      throw new BootswarmError(
        'ERR_INTERNAL',
        `the NBD command ${nameOf(commands, command)} passed the rules but is not handled`
      )
  }
}

async function durable({ flags }: Request, device: BlockDevice): Promise<Reply> {
  if ((flags & commandFlags.FUA) !== 0) await device.flush()
  return done
}

async function read(
  { flags, offset, length }: Request,
  serving: Serving,
  signal: AbortSignal
): Promise<Content[]> {
  const { device, terms } = serving
  const whole = async (): Promise<Content[]> => {
    return [{ kind: 'data', offset, bytes: await readExactly(serving, offset, length, signal) }]
  }
  const mayHaveHoles = terms.style !== 'simple' && (flags & commandFlags.DF) === 0
  if (!mayHaveHoles || device.extents === undefined) return whole()
  const extents = await device.extents(offset, length, signal)
  if (!extents.some(extent => extent.zero)) return whole()
  return Promise.all(
    cutAtHoles(extents, offset, length).map(async (piece): Promise<Content> => {
      if (piece.zero) return { kind: 'hole', offset: piece.offset, length: piece.length }
      const bytes = await readExactly(serving, piece.offset, piece.length, signal)
      return { kind: 'data', offset: piece.offset, bytes }
    })
  )
}

/** A range as stretches of zeros and of bytes to be read; what nothing is known of is the latter. */
function cutAtHoles(
  extents: readonly Extent[],
  offset: number,
  length: number
): { zero: boolean; offset: number; length: number }[] {
  const pieces: { zero: boolean; offset: number; length: number }[] = []
  const end = offset + length
  let at = offset
  const add = (zero: boolean, bytes: number): void => {
    const last = pieces.at(-1)
    if (last?.zero === zero) last.length += bytes
    else pieces.push({ zero, offset: at, length: bytes })
    at += bytes
  }
  for (const extent of extents) add(extent.zero, Math.min(extent.length, end - at))
  if (at < end) add(false, end - at)
  return pieces
}

async function readExactly(
  { device, pool }: Serving,
  offset: number,
  length: number,
  signal: AbortSignal
): Promise<Uint8Array> {
  const into = pool.take(length)
  const bytes = await device.read(offset, length, signal, into)
  if (bytes.buffer !== into.buffer) pool.giveBack(into)
  if (bytes.length === length) return bytes
  // One byte more or less would shift every later reply on the connection.
  throw new BootswarmError(
    'ERR_INTERNAL',
    `the device gave ${bytes.length} bytes for a read of ${length} at ${offset}`
  )
}

let zeros = Buffer.alloc(0)

/** False, with nothing changed, where the client wants it fast or not at all. */
async function zero(
  { flags, offset, length }: Request,
  { device, limits }: Serving,
  signal: AbortSignal
): Promise<boolean> {
  const mayPunch = (flags & commandFlags.NO_HOLE) === 0
  if (mayPunch && device.zero !== undefined) {
    if (length > 0) await device.zero(offset, length)
    return true
  }
  if ((flags & commandFlags.FAST_ZERO) !== 0) return false
  const pieceBytes = limits.nbdZeroPieceBytes
  if (zeros.length < Math.min(pieceBytes, length)) zeros = Buffer.alloc(pieceBytes)
  for (let at = 0; at < length; at += pieceBytes) {
    // Nobody is there any more who could rely on the rest.
    signal.throwIfAborted()
    await device.write(offset + at, zeros.subarray(0, Math.min(pieceBytes, length - at)))
  }
  return true
}

/** Compact replies have lengths of 32 bits; a multiple of every block size fits. */
const compactLengthMax = 0xffff_0000

async function status(
  request: Request,
  payload: Buffer,
  { device, terms, limits }: Serving,
  signal: AbortSignal
): Promise<Reply> {
  const query =
    request.payloadLength > 0
      ? asked(payload, terms.contexts)
      : { ...request, contexts: terms.contexts }
  const { offset } = request
  if (query === undefined || query.length === 0 || offset + query.length > device.size) {
    return { error: replyErrors.EINVAL }
  }
  const { length } = query
  const unknown: Extent = { length, zero: false, hole: false, presence: 'local' }
  const extents = (await device.extents?.(offset, length, signal)) ?? [unknown]
  const bounds = {
    length,
    countMax: limits.nbdExtentsMax,
    lengthMax: terms.style === 'extended' ? Number.MAX_SAFE_INTEGER : compactLengthMax,
    one: (request.flags & commandFlags.REQ_ONE) !== 0
  }
  return {
    error: replyErrors.NONE,
    statuses: query.contexts.map(context => ({
      context: context.id,
      extents: statusOf(context, extents, bounds)
    }))
  }
}

/** Undefined where the client names a context that it has not selected, or one twice. */
function asked(
  payload: Buffer,
  selected: readonly MetaContext[]
): { length: number; contexts: readonly MetaContext[] } | undefined {
  const query = decodeStatusQuery(payload)
  if (query === undefined) return undefined
  const contexts = selected.filter(({ id }) => query.contexts.includes(id))
  return contexts.length === query.contexts.length ? { length: query.length, contexts } : undefined
}

const fullCodes: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

function replyErrorOf(cause: unknown): ReplyError {
  const full = isErrorCode(cause, 'ERR_DISK_FULL') || fullCodes.has(systemErrorCode(cause))
  return full ? replyErrors.ENOSPC : replyErrors.EIO
}
