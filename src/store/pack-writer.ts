import { open, readdir, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError, tryLock } from '../base/index.ts'
import { fileError, syncDirectory, writeFully } from '../image/index.ts'
import type { ChunkIndex, Location } from './chunk-index.ts'
import { encodePackHeader, packFileName, packHeaderBytes, packNumberOf } from './format.ts'

/** The one pack that this process appends to, locked for as long as it is open. */
export class PackWriter {
  readonly pack: number
  readonly path: string
  readonly #handle: FileHandle
  #end = packHeaderBytes

  constructor(pack: number, path: string, handle: FileHandle) {
    this.pack = pack
    this.path = path
    this.#handle = handle
  }

  /** Bytes, with those still being written. */
  get length(): number {
    return this.#end
  }

  /** Appends a record. Several may be on their way at once; each has its place from the start. */
  async append(record: Uint8Array): Promise<Location> {
    const offset = this.#end
    this.#end += record.length
    await writeFully(this.#handle, record, offset).catch((error: unknown) => {
      throw fileError(error, this.path)
    })
    return { pack: this.pack, offset, length: record.length }
  }

  /** Resolves when every record whose append has resolved is on stable storage. */
  async flush(): Promise<void> {
    await this.#handle.datasync().catch((error: unknown) => {
      throw fileError(error, this.path)
    })
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/**
 * Makes a new pack, locked, durable and known to the index. The caller holds the store's lock, so
 * that nobody takes the pack for one that a crash has left.
 */
export async function allocatePack(directory: string, index: ChunkIndex): Promise<PackWriter> {
  const files = (await readdir(directory)).map(packNumberOf)
  const pack = Math.max(0, ...index.packs(), ...files.filter(number => number !== undefined)) + 1
  const path = join(directory, packFileName(pack))
  const handle = await open(path, 'wx', 0o600)
  try {
    if (!tryLock(handle.fd)) {
      throw new BootswarmError('ERR_STORE_BUSY', `another process holds the new pack ${path}`)
    }
    await writeFully(handle, encodePackHeader(pack), 0)
    await handle.sync()
    await syncDirectory(directory)
    index.addPack(pack)
    return new PackWriter(pack, path, handle)
  } catch (error) {
    await handle.close()
    await rm(path, { force: true })
    throw fileError(error, path)
  }
}
