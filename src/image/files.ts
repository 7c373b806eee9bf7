import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import type { ErrorCode } from '../base/index.ts'

const codes: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['ERR_FILE_MISSING', 'does not exist'],
  ENOTDIR: ['ERR_FILE_MISSING', 'lies under something that is no directory'],
  EACCES: ['ERR_FILE_MISSING', 'may not be opened by this user'],
  EPERM: ['ERR_FILE_MISSING', 'may not be opened by this user'],
  EROFS: ['ERR_FILE_MISSING', 'lies on a read-only file system'],
  EISDIR: ['ERR_FILE_MISSING', 'is a directory'],
  ENOSPC: ['ERR_DISK_FULL', 'does not fit: its file system is full'],
  EDQUOT: ['ERR_DISK_FULL', 'does not fit: the disk quota is used up'],
  EFBIG: ['ERR_DISK_FULL', 'is larger than its file system allows'],
  EIO: ['ERR_DISK_IO', 'lies on a disk that reports an error']
}

/** A system error about a file as one of ours that names it; any other error as it is. */
export function fileError(error: unknown, path: string): unknown {
  const systemCode = systemErrorCode(error)
  const known = systemCode === undefined ? undefined : codes[systemCode]
  if (known === undefined) return error
  const [code, reason] = known
  const why = isWithoutFolder(error) ? 'lies in a folder that does not exist' : reason
  return new BootswarmError(code, `${path} ${why}`, { cause: error })
}

/** Who names a file that is to be made knows that it is not there. */
function isWithoutFolder(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException
  return code === 'ENOENT' && path !== undefined && !existsSync(dirname(path))
}

/** Makes a rename or a new file in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A name beside a file's for what is to become the file; of nobody else's writing. */
export function partialPathOf(path: string): string {
  return `${path}.partial-${randomBytes(6).toString('hex')}`
}

/** The file has either its old content or the new, whenever the machine stops. */
export async function replaceFile(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  try {
    await replaceWith(path, mode, handle => handle.writeFile(bytes))
  } catch (error) {
    throw fileError(error, path)
  }
}

/** As `replaceFile`, with what `fill` writes; system errors as they are. */
export async function replaceWith(
  path: string,
  mode: number,
  fill: (handle: FileHandle) => Promise<void>
): Promise<void> {
  const partialPath = partialPathOf(path)
  try {
    const handle = await open(partialPath, 'wx', mode)
    try {
      await fill(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(partialPath, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(partialPath, { force: true })
    throw error
  }
}

/** Writes all of `bytes`: a single call may write less. */
export async function writeFully(
  handle: FileHandle,
  bytes: Uint8Array,
  offset: number
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}
