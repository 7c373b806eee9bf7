import fs from 'node:fs'
import { promisify } from 'node:util'
import { nextDataExtent, punchHole, readCached } from '../base/index.ts'
import { isZero } from '../image/index.ts'
import { diskError, endsEarly, SyncedFile } from './synced-file.ts'
import { TakenRoom } from './taken-room.ts'

/**
 * Bytes on stable storage: a target, its metadata, or in tests a device that loses writes. What was
 * written may be lost until a `sync` that began after it has resolved. Offsets and lengths lie inside.
 */
export interface Storage {
  readonly size: number
  /** `into`, of that length, may be used for the answer instead of a new buffer. */
  read(offset: number, length: number, into?: Buffer): Promise<Buffer>
  /** Reads all of `into` if that needs no waiting for a disk; if false, what it holds is not said. */
  readNow?(offset: number, into: Buffer): boolean
  /** Where there is always room it may resolve like `writeNow`. */
  write(offset: number, data: Uint8Array): Promise<void>
  /**
   * As `write` where there is room on the disk already, without a promise; takes a copy. Whoever reads sees it
   * from the return on; if it turns out that it cannot be written, each sync fails from then on. False where
   * `write` has to be called.
   */
  writeNow?(offset: number, data: Uint8Array): boolean
  /** Makes a range read as zeros. */
  zero(offset: number, length: number): Promise<void>
  /** What a range reads as afterwards is not said; it may be given back. */
  trim(offset: number, length: number): Promise<void>
  /** It is known without reading that the range is zeros. */
  isHole(offset: number, length: number): boolean
  /** Once it has failed it fails for ever: the kernel has dropped what it could not write. */
  sync(): Promise<void>
  /** Something was written that no sync has covered yet; one that is still under way does not count. */
  readonly dirty: boolean
}

const read = promisify(fs.read)
const write = promisify(fs.write)

/** Copying this much takes a tenth of a millisecond, in which the event loop does nothing else. */
const cachedReadBytesMax = 1024 * 1024
const zeroPieceBytes = 1024 * 1024
const zeros = Buffer.alloc(zeroPieceBytes)

/** A file that is open for reading and writing. */
export class FileStorage implements Storage {
  readonly size: number
  readonly #fd: number
  readonly #path: string
  readonly #file: SyncedFile
  readonly #room: TakenRoom

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd
    this.#path = path
    this.size = size
    this.#file = new SyncedFile(fd, path)
    this.#room = new TakenRoom(fd, size)
  }

  get dirty(): boolean {
    return this.#file.dirty
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  isHole(offset: number, length: number): boolean {
    return nextDataExtent(this.#fd, offset, offset + length) === undefined
  }

  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    const bytes = into ?? Buffer.allocUnsafe(length)
    await this.#file.whenWritten(offset, length)
    try {
      // What is in memory is here sooner than a thread of libuv's pool would begin.
      const mayBeCached = length <= cachedReadBytesMax
      let done = mayBeCached ? readCached(this.#fd, bytes, offset) : 0
      while (done < length) {
        const { bytesRead } = await read(this.#fd, bytes, done, length - done, offset + done)
        if (bytesRead === 0) throw endsEarly(this.#path, offset + length)
        done += bytesRead
      }
    } catch (error) {
      throw diskError(this.#path, 'read', error)
    }
    return bytes
  }

  readNow(offset: number, into: Buffer): boolean {
    if (this.#file.whenWritten(offset, into.length) !== undefined) return false
    return readCached(this.#fd, into, offset) === into.length
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.#file.whenWritten(offset, data.length)
    try {
      await this.#write(offset, data)
    } catch (error) {
      throw diskError(this.#path, 'write', error)
    } finally {
      this.#file.landed()
    }
  }

  writeNow(offset: number, data: Uint8Array): boolean {
    return this.#room.has(offset, data.length) && this.#file.writeNow(offset, data)
  }

  async zero(offset: number, length: number): Promise<void> {
    const end = offset + length
    await this.#file.whenWritten(offset, length)
    for (let start = offset; start < end; start += zeroPieceBytes) {
      await this.#zeroPiece(start, Math.min(zeroPieceBytes, end - start))
    }
  }

  async trim(offset: number, length: number): Promise<void> {
    await this.#file.whenWritten(offset, length)
    await this.#punch(offset, length)
  }

  async #write(offset: number, data: Uint8Array): Promise<void> {
    const soon = this.#file.writeSoon(offset, data)
    if (soon !== undefined) return soon
    for (let done = 0; done < data.length;) {
      const { bytesWritten } = await write(this.#fd, data, done, data.length - done, offset + done)
      done += bytesWritten
    }
  }

  /** False where that cannot be. */
  async #punch(offset: number, length: number): Promise<boolean> {
    if (!(await punchHole(this.#fd, offset, length))) return false
    this.#room.givenBack(offset, length)
    this.#file.landed()
    return true
  }

  async #zeroPiece(offset: number, length: number): Promise<void> {
    if (this.isHole(offset, length)) return
    if (await this.#punch(offset, length)) return
    if (isZero(await this.read(offset, length))) return
    await this.write(offset, zeros.subarray(0, length))
  }
}

/** The part of a storage from `start` on, as a storage of its own. */
export function sectionOf(whole: Storage, start: number, size: number): Storage {
  return {
    size,
    read: (offset, length, into) => whole.read(start + offset, length, into),
    write: (offset, data) => whole.write(start + offset, data),
    ...(whole.writeNow && {
      writeNow: (offset, data) => whole.writeNow?.(start + offset, data) === true
    }),
    zero: (offset, length) => whole.zero(start + offset, length),
    trim: (offset, length) => whole.trim(start + offset, length),
    isHole: (offset, length) => whole.isHole(start + offset, length),
    sync: () => whole.sync(),
    get dirty() {
      return whole.dirty
    }
  }
}
