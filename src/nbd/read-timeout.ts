import { BootswarmError, type BlockDevice } from '../base/index.ts'

/**
 * A device whose reads wait no longer than `timeoutMs`, for those who would rather have an error than
 * a disk that stands still. Rejects with ERR_READ_TIMEOUT, which a client sees as EIO. Without a
 * time-out, the device as it is.
 */
export function withReadTimeout(device: BlockDevice, timeoutMs: number | undefined): BlockDevice {
  if (timeoutMs === undefined) return device
  const limited = async <T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>
  ): Promise<T> => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(tooLate(timeoutMs)), timeoutMs)
    try {
      return await work(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]))
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    size: device.size,
    read: (offset, length, signal, into) =>
      limited(signal, both => device.read(offset, length, both, into)),
    ...(device.readNow && { readNow: device.readNow.bind(device) }),
    write: (offset, data) => device.write(offset, data),
    ...(device.writeNow && { writeNow: device.writeNow.bind(device) }),
    flush: () => device.flush(),
    ...(device.extents && { extents: device.extents.bind(device) }),
    ...(device.zero && { zero: device.zero.bind(device) }),
    ...(device.trim && { trim: device.trim.bind(device) }),
    ...(device.prefetch && {
      prefetch: (offset, length, signal) =>
        limited(signal, async both => device.prefetch?.(offset, length, both))
    })
  }
}

function tooLate(timeoutMs: number): BootswarmError {
  return new BootswarmError(
    'ERR_READ_TIMEOUT',
    `nobody delivered it within ${timeoutMs / 1000} s; without --read-timeout a read would wait`
  )
}
