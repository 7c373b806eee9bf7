import fs from 'node:fs'
import { promisify } from 'node:util'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import { writeThread } from './write-thread.ts'

const datasync = promisify(fs.fdatasync)

/**
 * Where so many syncs in a row take longer they are left to libuv's threads: the writing thread does nothing else
 * meanwhile. A quick disk has slow ones now and then, behind which the next is as quick as ever.
 */
const quickMs = 1
const slowMin = 4

interface Sync {
  readonly landed: number
  readonly done: Promise<void>
}

/** How much of what was written to an open file is on stable storage. */
export class SyncedFile {
  readonly #fd: number
  readonly #path: string
  /** How many writes have landed, and how many of those a sync has covered. */
  #landed = 0
  #covered = 0
  #running: Sync | undefined
  #failure: BootswarmError | undefined
  /** Syncs in a row that took long. */
  #slow = 0

  constructor(fd: number, path: string) {
    this.#fd = fd
    this.#path = path
  }

  /** For ever, once something could not be written. */
  get dirty(): boolean {
    return this.#covered < this.#landed || this.#failure !== undefined
  }

  /** A write has landed, or may have: a sync that began before that need not cover it. */
  landed(): void {
    this.#landed++
  }

  /**
   * Takes a copy of data that is written soon: a sync that begins later covers it, and fails for ever if it
   * could not be written. False if it has to be written elsewhere, as all has to once that has happened.
   */
  writeNow(offset: number, data: Uint8Array): boolean {
    if (this.#failure !== undefined) return false
    if (!writeThread.write(this.#fd, offset, data, this.#written, false)) return false
    this.#landed++
    return true
  }

  /**
   * Writes a small piece, after what was taken before and with it: resolves when it is there. Undefined if it is
   * too large, and has to be written otherwise.
   */
  writeSoon(offset: number, data: Uint8Array): Promise<void> | undefined {
    return writeThread.writeSoon(this.#fd, offset, data)
  }

  /** Settles when nothing of what `writeNow` took lies in the range any more; undefined if nothing does now. */
  whenWritten(offset: number, length: number): Promise<void> | undefined {
    return writeThread.whenWritten(this.#fd, offset, length)
  }

  /** Whoever asks while nothing has landed since the last one began shares that. */
  sync(): Promise<void> {
    if (this.#running?.landed === this.#landed) return this.#running.done
    const landed = this.#landed
    const done = this.#sync(landed).finally(() => {
      if (this.#running?.landed === landed) this.#running = undefined
    })
    this.#running = { landed, done }
    return done
  }

  readonly #written = (error?: Error): void => {
    if (error !== undefined) this.#failure ??= diskError(this.#path, 'write', error)
  }

  async #sync(landed: number): Promise<void> {
    if (this.#failure !== undefined) {
      // The file may be closed behind this.
      await this.whenWritten(0, Infinity)
      throw this.#failure
    }
    const start = performance.now()
    try {
      await this.#datasync()
      this.#covered = Math.max(this.#covered, landed)
    } catch (error) {
      this.#failure ??= diskError(this.#path, 'flush', error)
    }
    this.#slow = performance.now() - start < quickMs ? 0 : this.#slow + 1
    if (this.#failure !== undefined) throw this.#failure
  }

  async #datasync(): Promise<void> {
    if (this.#slow < slowMin) {
      const synced = writeThread.sync(this.#fd)
      if (synced !== undefined) return synced
    }
    await this.whenWritten(0, Infinity)
    await datasync(this.#fd)
  }
}

/** What a failed system call means: ERR_DISK_FULL or ERR_DISK_IO. */
export function diskError(path: string, action: string, error: unknown): BootswarmError {
  if (error instanceof BootswarmError) return error
  const reason = systemErrorCode(error) ?? 'unknown error'
  if (reason !== 'ENOSPC' && reason !== 'EDQUOT') {
    return ioError(path, `${action}: ${reason}`, error)
  }
  return new BootswarmError(
    'ERR_DISK_FULL',
    `${path}: its file system is full; free some space there`,
    { cause: error }
  )
}

export function endsEarly(path: string, end: number): BootswarmError {
  return ioError(path, `ends before byte ${end}`)
}

function ioError(path: string, what: string, cause?: unknown): BootswarmError {
  const message = `${path}: the disk fails (${what}); check it with dmesg`
  return new BootswarmError('ERR_DISK_IO', message, { cause })
}
