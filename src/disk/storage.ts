import fs from 'node:fs'
import { promisify } from 'node:util'
import { BootswarmError, nextDataExtent, punchHole, systemErrorCode } from '../base/index.ts'
import { isZero } from '../image/index.ts'

/**
 * Bytes on stable storage: a target, its metadata, or in tests a device that loses writes. What was
 * written may be lost until a `sync` that began after it has resolved. Offsets and lengths lie inside.
 */
export interface Storage {
  readonly size: number
  /** `into`, of that length, may be used for the answer instead of a new buffer. */
  read(offset: number, length: number, into?: Buffer): Promise<Buffer>
  write(offset: number, data: Uint8Array): Promise<void>
  /** Makes a range read as zeros. */
  zero(offset: number, length: number): Promise<void>
  /** What a range reads as afterwards is not said; it may be given back. */
  trim(offset: number, length: number): Promise<void>
  /** Once it has failed it fails for ever: the kernel has dropped what it could not write. */
  sync(): Promise<void>
  /** Something was written that no sync has covered yet; one that is still under way does not count. */
  readonly dirty: boolean
}

const read = promisify(fs.read)
const write = promisify(fs.write)
const datasync = promisify(fs.fdatasync)

const zeroPieceBytes = 1024 * 1024
const zeros = Buffer.alloc(zeroPieceBytes)

/** A file or block device that is open for reading and writing. */
export class FileStorage implements Storage {
  readonly size: number
  readonly #fd: number
  readonly #path: string
  readonly #kind: 'file' | 'device'
  /** How many writes have landed, and how many of those a sync has covered. */
  #landed = 0
  #covered = 0
  #syncFailure: BootswarmError | undefined

  constructor(fd: number, path: string, size: number, kind: 'file' | 'device') {
    this.#fd = fd
    this.#path = path
    this.size = size
    this.#kind = kind
  }

  get dirty(): boolean {
    return this.#covered < this.#landed
  }

  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    const bytes = into ?? Buffer.allocUnsafe(length)
    try {
      for (let done = 0; done < length;) {
        const { bytesRead } = await read(this.#fd, bytes, done, length - done, offset + done)
        if (bytesRead === 0) throw this.#ioError(`ends before byte ${offset + length}`)
        done += bytesRead
      }
    } catch (error) {
      throw this.#translated(error, 'read')
    }
    return bytes
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < data.length;) {
        const { bytesWritten } = await write(
          this.#fd,
          data,
          done,
          data.length - done,
          offset + done
        )
        done += bytesWritten
      }
    } catch (error) {
      throw this.#translated(error, 'write')
    } finally {
      // Counted when it has landed: a sync that begins before that need not cover it.
      this.#landed++
    }
  }

  async zero(offset: number, length: number): Promise<void> {
    const end = offset + length
    for (let start = offset; start < end; start += zeroPieceBytes) {
      await this.#zeroPiece(start, Math.min(zeroPieceBytes, end - start))
    }
  }

  trim(offset: number, length: number): Promise<void> {
    if (this.#kind === 'file' && punchHole(this.#fd, offset, length)) this.#landed++
    return Promise.resolve()
  }

  async sync(): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure
    const landed = this.#landed
    try {
      await datasync(this.#fd)
      this.#covered = Math.max(this.#covered, landed)
    } catch (error) {
      this.#syncFailure = this.#translated(error, 'flush')
      throw this.#syncFailure
    }
  }

  async #zeroPiece(offset: number, length: number): Promise<void> {
    if (this.#kind === 'file') {
      if (nextDataExtent(this.#fd, offset, offset + length) === undefined) return
      if (punchHole(this.#fd, offset, length)) {
        this.#landed++
        return
      }
    }
    // Reading is cheaper than writing on most devices, and keeps thin ones thin.
    if (isZero(await this.read(offset, length))) return
    await this.write(offset, zeros.subarray(0, length))
  }

  #translated(error: unknown, action: string): BootswarmError {
    if (error instanceof BootswarmError) return error
    const reason = systemErrorCode(error) ?? 'unknown error'
    if (reason !== 'ENOSPC' && reason !== 'EDQUOT')
      return this.#ioError(`${action}: ${reason}`, error)
    return new BootswarmError(
      'ERR_DISK_FULL',
      `${this.#path}: its file system is full; free some space there`,
      { cause: error }
    )
  }

  #ioError(what: string, cause?: unknown): BootswarmError {
    const message = `${this.#path}: the disk fails (${what}); check it with dmesg`
    return new BootswarmError('ERR_DISK_IO', message, { cause })
  }
}

/** The part of a storage from `start` on, as a storage of its own. */
export function sectionOf(whole: Storage, start: number, size: number): Storage {
  return {
    size,
    read: (offset, length) => whole.read(start + offset, length),
    write: (offset, data) => whole.write(start + offset, data),
    zero: (offset, length) => whole.zero(start + offset, length),
    trim: (offset, length) => whole.trim(start + offset, length),
    sync: () => whole.sync(),
    get dirty() {
      return whole.dirty
    }
  }
}
