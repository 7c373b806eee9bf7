import { commandFlags, commands, replyErrors, type ReplyError, type Request } from './wire.ts'

/** What the rules need to know of an export. */
export interface ExportBounds {
  /** Bytes. */
  readonly size: number
  readonly readOnly: boolean
}

/** The error that a request deserves before anything is done, or NONE (proto.md, "Error values"). */
export function requestError(
  request: Request,
  bounds: ExportBounds,
  payloadBytesMax: number
): ReplyError {
  const { command, flags, offset, length } = request
  // FUA must be taken on every command: clients are known to set it on some that write nothing.
  if ((flags & ~commandFlags.FUA) !== 0) return replyErrors.EINVAL
  const fits = offset + length <= bounds.size
  switch (command) {
    case commands.READ:
      return fits && length <= payloadBytesMax ? replyErrors.NONE : replyErrors.EINVAL
    case commands.WRITE:
      if (bounds.readOnly) return replyErrors.EPERM
      return fits ? replyErrors.NONE : replyErrors.ENOSPC
    case commands.FLUSH:
      return offset === 0 && length === 0 ? replyErrors.NONE : replyErrors.EINVAL
    default:
      return replyErrors.EINVAL
  }
}

/** Bytes that follow the request's header. */
export function payloadBytes(request: Request): number {
  return request.command === commands.WRITE ? request.length : 0
}

/** Bytes that the server holds for a request while it is under way: its payload, in or out. */
export function bytesHeldFor(request: Request): number {
  const { command, length } = request
  return command === commands.READ || command === commands.WRITE ? length : 0
}
