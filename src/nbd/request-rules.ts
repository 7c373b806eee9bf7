import type { Terms } from './exports.ts'
import { commandFlags, commands, replyErrors, type ReplyError, type Request } from './wire.ts'

/** What the rules need to know of an export and its client. */
export interface ExportBounds extends Terms {
  /** Bytes. */
  readonly size: number
  readonly readOnly: boolean
}

const { FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN } = commandFlags

// FUA must be taken on every command: clients are known to set it on some that write nothing.
const flagsTaken: Readonly<Record<number, number>> = {
  [commands.READ]: FUA | DF,
  [commands.WRITE]: FUA,
  [commands.FLUSH]: FUA,
  [commands.TRIM]: FUA,
  [commands.CACHE]: FUA,
  [commands.WRITE_ZEROES]: FUA | NO_HOLE | FAST_ZERO,
  [commands.BLOCK_STATUS]: FUA | REQ_ONE
}

/** The error that a request deserves before anything is done, or NONE (proto.md, "Error values"). */
export function requestError(
  request: Request,
  bounds: ExportBounds,
  payloadBytesMax: number
): ReplyError {
  const { command, flags, offset, length } = request
  const { NONE, EPERM, EINVAL, ENOSPC, EOVERFLOW } = replyErrors
  if ((flags & ~flagsAllowed(request, bounds)) !== 0) return EINVAL
  const fits = offset + length <= bounds.size
  switch (command) {
    case commands.READ:
      if (!fits) return EINVAL
      if (length <= payloadBytesMax) return NONE
      return bounds.style === 'simple' ? EINVAL : EOVERFLOW
    case commands.WRITE:
      if (bounds.readOnly) return EPERM
      // An extended write says by a flag that its bytes follow.
      if (request.payloadLength !== length) return EINVAL
      return fits ? NONE : ENOSPC
    case commands.WRITE_ZEROES:
      if (bounds.readOnly) return EPERM
      return fits ? NONE : ENOSPC
    case commands.TRIM:
      if (bounds.readOnly) return EPERM
      return fits ? NONE : EINVAL
    case commands.CACHE:
      if (!fits) return EINVAL
      return length <= payloadBytesMax ? NONE : EOVERFLOW
    case commands.BLOCK_STATUS:
      return mayAskStatus(request, bounds) ? NONE : EINVAL
    case commands.FLUSH:
      return offset === 0 && length === 0 ? NONE : EINVAL
    default:
      return EINVAL
  }
}

function flagsAllowed({ command }: Request, { style }: ExportBounds): number {
  const taken = flagsTaken[command] ?? 0
  const withPayload = command === commands.WRITE || command === commands.BLOCK_STATUS
  if (style === 'extended' && withPayload) return taken | PAYLOAD_LEN
  return style === 'simple' ? taken & ~DF : taken
}

/** With a payload, the range is in there, and whoever reads it checks it. */
function mayAskStatus(request: Request, { contexts, size }: ExportBounds): boolean {
  const { offset, length, payloadLength } = request
  if (contexts.length === 0) return false
  if (payloadLength > 0) return payloadLength <= statusQueryBytesMax(contexts.length)
  return length > 0 && offset + length <= size
}

function statusQueryBytesMax(contexts: number): number {
  return 8 + 4 * contexts
}

/** Bytes that the server holds for a request while it is under way: its payload, in or out. */
export function bytesHeldFor({ command, length, payloadLength }: Request): number {
  return command === commands.READ ? length : payloadLength
}
