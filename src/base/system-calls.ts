import koffi from 'koffi'

// The few system calls that Node does not offer, through libc. What may take long is called in a
// thread of its own; the others take a microsecond or so.

const libc = koffi.load('libc.so.6')
const lseekCall = libc.func('int64_t lseek(int fd, int64_t offset, int whence)')
const fallocateCall = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)')
const flockCall = libc.func('int flock(int fd, int operation)')

const SEEK_DATA = 3
const SEEK_HOLE = 4
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const FALLOC_FL_ZERO_RANGE = 16
const LOCK_EX = 2
const LOCK_NB = 4

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
