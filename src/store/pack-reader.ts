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

  constructor(packsDirectory: string) {
    this.#directory = packsDirectory
  }

  /** ERR_STORE_CORRUPT, naming the pack, unless an intact record of that chunk lies there. */
  async read(id: ChunkId, { pack, offset, length }: Location): Promise<Frame> {
    const path = join(this.#directory, packFileName(pack))
    if (length < recordHeaderBytes || length > recordHeaderBytes + frameBytesMax) {
      throw damaged(path, id, offset)
    }
    try {
      const handle = await this.#open(pack, path)
      const bytes = Buffer.allocUnsafeSlow(length)
      const { bytesRead } = await handle.read(bytes, 0, length, offset)
      const frame = decodeRecord(id, bytes.subarray(0, bytesRead))
      if (frame === undefined) throw damaged(path, id, offset)
      return frame
    } catch (error) {
      throw fileError(error, path)
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await (await handle).close()
    this.#handles.clear()
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
