import fs from 'node:fs'
import { promisify } from 'node:util'
import { BootswarmError, systemErrorCode } from '../base/index.ts'

const datasync = promisify(fs.fdatasync)

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

  constructor(fd: number, path: string) {
    this.#fd = fd
    this.#path = path
  }

  get dirty(): boolean {
    return this.#covered < this.#landed
  }

  /** A write has landed, or may have: a sync that began before that need not cover it. */
  landed(): void {
    this.#landed++
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

  async #sync(landed: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      await datasync(this.#fd)
      this.#covered = Math.max(this.#covered, landed)
    } catch (error) {
      this.#failure = diskError(this.#path, 'flush', error)
      throw this.#failure
    }
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
