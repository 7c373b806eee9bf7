import { BootswarmError, isErrorCode, systemErrorCode, type BlockDevice } from '../base/index.ts'
import {
  commandFlags,
  commands,
  nameOf,
  replyErrors,
  type ReplyError,
  type Request
} from './wire.ts'

export interface Reply {
  readonly error: ReplyError
  /** What a READ gives back: exactly the length asked for. */
  readonly payload?: Uint8Array
  /** What the device threw, for the log. */
  readonly cause?: unknown
}

const done: Reply = { error: replyErrors.NONE }

/**
 * Does what a checked request asks of the device. It never rejects: what the device throws becomes
 * the reply's error. A read waits as long as the device does; `signal` ends it when the client is gone.
 */
export async function handleRequest(
  request: Request,
  payload: Uint8Array,
  device: BlockDevice,
  signal: AbortSignal
): Promise<Reply> {
  try {
    switch (request.command) {
      case commands.READ:
        return await read(request, device, signal)
      case commands.WRITE:
        if (payload.length > 0) await device.write(request.offset, payload)
        if ((request.flags & commandFlags.FUA) !== 0) await device.flush()
        return done
      case commands.FLUSH:
        await device.flush()
        return done
      default:
        throw new BootswarmError(
          'ERR_INTERNAL',
          `the NBD command ${nameOf(commands, request.command)} passed the rules but is not handled`
        )
    }
  } catch (cause) {
    return { error: replyErrorOf(cause), cause }
  }
}

async function read(request: Request, device: BlockDevice, signal: AbortSignal): Promise<Reply> {
  const { offset, length } = request
  if (length === 0) return done
  const payload = await device.read(offset, length, signal)
  if (payload.length !== length) {
    // One byte more or less would shift every later reply on the connection.
    throw new BootswarmError(
      'ERR_INTERNAL',
      `the device gave ${payload.length} bytes for a read of ${length} at ${offset}`
    )
  }
  return { error: replyErrors.NONE, payload }
}

const fullCodes: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

function replyErrorOf(cause: unknown): ReplyError {
  const full = isErrorCode(cause, 'ERR_DISK_FULL') || fullCodes.has(systemErrorCode(cause))
  return full ? replyErrors.ENOSPC : replyErrors.EIO
}
