import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError } from '../base/index.ts'
import type { ChunkId, Frame } from '../base/index.ts'
import { fileError } from '../image/index.ts'
import type { Location } from './chunk-index.ts'
import { decodeRecord, frameBytesMax, packFileName, recordHeaderBytes } from './format.ts'

/** Reads records by location: one pread each, with each pack opened once. */
export class PackReader {
  readonly #directory: string
  readonly #handles = new Map<number, Promise<FileHandle>>()
  /** Of packs that were thrown away; others may still be reading from them. */
  readonly #gone: FileHandle[] = []

  constructor(packsDirectory: string) {
    this.#directory = packsDirectory
  }

  /** ERR_STORE_CORRUPT, naming the pack, unless an intact record of that chunk lies there. */
  async read(id: ChunkId, location: Location): Promise<Frame> {
    const { pack, offset, length } = location
    const path = join(this.#directory, packFileName(pack))
    if (length < recordHeaderBytes || length > recordHeaderBytes + frameBytesMax) {
      throw damaged(path, id, offset)
    }
    try {
      const frame = await this.#record(id, location, path)
      if (frame === undefined) throw damaged(path, id, offset)
      return frame
    } catch (error) {
      throw fileError(error, path)
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await (await handle).close()
    for (const handle of this.#gone) await handle.close()
    this.#handles.clear()
  }

  async #record(id: ChunkId, location: Location, path: string): Promise<Frame | undefined> {
    const opening = this.#open(location.pack, path)
    const handle = await opening
    const bytes = Buffer.allocUnsafeSlow(location.length)
    const { bytesRead } = await handle.read(bytes, 0, location.length, location.offset)
    const frame = decodeRecord(id, bytes.subarray(0, bytesRead))
    if (frame !== undefined || (await handle.stat()).nlink > 0) return frame
    // A pack that was thrown away left its number to another; the file that is open here is no more.
    if (this.#handles.get(location.pack) === opening) {
      this.#handles.delete(location.pack)
      this.#gone.push(handle)
    }
    return this.#record(id, location, path)
  }

  #open(pack: number, path: string): Promise<FileHandle> {
    const known = this.#handles.get(pack)
    if (known !== undefined) return known
    const opening = open(path, 'r')
    this.#handles.set(pack, opening)
    // A failure is not kept: the next read tries again.
    opening.catch(() => this.#handles.delete(pack))
    return opening
  }
}

function damaged(path: string, id: ChunkId, offset: number): BootswarmError {
  return new BootswarmError(
    'ERR_STORE_CORRUPT',
    `${path} is damaged at byte ${offset}, where chunk ${id} should be; restore it from a backup, or import into a new store`
  )
}
