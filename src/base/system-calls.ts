import { setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'

// The few system calls that Node does not offer, through libc. What may take long is called in a
// thread of its own; the others take a microsecond or so.

const libc = koffi.load('libc.so.6')
const lseekCall = libc.func('int64_t lseek(int fd, int64_t offset, int whence)')
const fallocateCall = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)')
const flockCall = libc.func('int flock(int fd, int operation)')

const iovec = koffi.struct({ base: 'void *', length: 'size_t' })
const preadv2Call = libc.func('preadv2', 'int64_t', [
  'int',
  koffi.pointer(iovec),
  'int',
  'int64_t',
  'int'
])

const setsockoptCall = libc.func('setsockopt', 'int', ['int', 'int', 'int', 'int *', 'uint32_t'])

const lockRetryMs = 50
const lockTriesMax = 20

const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_SNDBUFFORCE = 32
const RWF_NOWAIT = 8
const SEEK_DATA = 3
const SEEK_HOLE = 4
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const FALLOC_FL_ZERO_RANGE = 16
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Reads what the page cache has of a file at `offset`, at most what fits, without ever waiting for a
 * disk (preadv2(2), RWF_NOWAIT). Bytes read; 0 where there are none or the file system cannot tell.
 * Not for files opened with O_DIRECT, whose reads wait in spite of the flag.
 */
export function readCached(fd: number, into: Uint8Array, offset: number): number {
  const read = Number(preadv2Call(fd, { base: into, length: into.length }, 1, offset, RWF_NOWAIT))
  return Math.max(0, read)
}

/**
 * How much a socket takes before its writer has to wait (setsockopt(2)): root gets what it asks for,
 * others at most what net.core.wmem_max says.
 */
export function setSendBuffer(fd: number, bytes: number): void {
  const value = [bytes]
  if (setsockoptCall(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) === 0) return
  setsockoptCall(fd, SOL_SOCKET, SO_SNDBUF, value, 4)
}

/** A run of bytes in a file that is not a hole. */
export interface DataExtent {
  readonly offset: number
  readonly length: number
}

/**
 * The next run of data at or after `offset`, or undefined when only a hole is left before `size`
 * (lseek(2), SEEK_DATA and SEEK_HOLE). A file system without holes reports one run to the end.
 */
export function nextDataExtent(fd: number, offset: number, size: number): DataExtent | undefined {
  if (offset >= size) return undefined
  const start = Number(lseekCall(fd, offset, SEEK_DATA))
  if (start < 0) {
    const errno = koffi.errno()
    // ENXIO is the documented "nothing but a hole from here"; where holes are unknown, all is data.
    return errno === koffi.os.errno.ENXIO ? undefined : { offset, length: size - offset }
  }
  if (start >= size) return undefined
  const end = Number(lseekCall(fd, start, SEEK_HOLE))
  return { offset: start, length: Math.min(end < 0 ? size : end, size) - start }
}

/**
 * Gives a range of a file or block device back, so that it reads as zeros (fallocate(2)). False where
 * that cannot be; the caller then writes zeros.
 */
export function punchHole(fd: number, offset: number, length: number): Promise<boolean> {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)
}

/** Has the kernel write zeros, by the device itself where it can; false where it does not. */
export function zeroRange(fd: number, offset: number, length: number): Promise<boolean> {
  return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length)
}

function fallocate(fd: number, mode: number, offset: number, length: number): Promise<boolean> {
  return new Promise(resolve => {
    fallocateCall.async(fd, mode, offset, length, (error: Error | null, result: number) => {
      resolve(error === null && result === 0)
    })
  })
}

/** Takes the exclusive advisory lock of a file, held until it is closed (flock(2)). False if taken. */
export function tryLock(fd: number): boolean {
  return flockCall(fd, LOCK_EX | LOCK_NB) === 0
}

/**
 * As `tryLock`, or another way to `take` a lock, asked for a while, by default a second: a process that is just
 * being started has all files of the one that starts it for a moment, and their locks with them, whoever has
 * closed them meanwhile.
 */
export async function lockSoon(
  fd: number,
  { take = tryLock, triesMax = lockTriesMax, retryMs = lockRetryMs } = {}
): Promise<boolean> {
  for (let tries = 1; !take(fd); tries += 1) {
    if (tries >= triesMax) return false
    await sleep(retryMs)
  }
  return true
}

/** As `tryLock`, but several may hold it, while nobody holds the exclusive one. */
export function tryShareLock(fd: number): boolean {
  return flockCall(fd, LOCK_SH | LOCK_NB) === 0
}
