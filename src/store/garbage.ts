import type { DatabaseSync } from 'node:sqlite'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { lockSoon, punchHole, type ChunkId } from '../base/index.ts'
import { fileError, type Manifest } from '../image/index.ts'
import type { ChunkIndex } from './chunk-index.ts'
import { inTransaction } from './database.ts'
import { packFileName, packHeaderBytes } from './format.ts'

/** Shorter gaps give no block of a file system back. */
const gapBytesMin = 4096

const unneeded = 'digest NOT IN (SELECT digest FROM temp.needed)'

/** What no image of the store needs. */
export interface Garbage {
  readonly chunks: number
  /** Of their records, in bytes. */
  readonly bytes: number
}

/**
 * Finds and throws away chunks that no image needs. Rows go first, in one transaction; then the bytes
 * between records are given back to the file system. After a crash in between the next run gives them
 * back: whatever no row speaks of is free. The caller sees to it that nobody adds an image meanwhile.
 */
export class GarbageCollector {
  readonly #database: DatabaseSync
  readonly #index: ChunkIndex
  readonly #packs: string

  constructor(database: DatabaseSync, index: ChunkIndex, packsDirectory: string) {
    this.#database = database
    this.#index = index
    this.#packs = packsDirectory
    database.exec('CREATE TEMP TABLE IF NOT EXISTS needed (digest BLOB PRIMARY KEY) WITHOUT ROWID')
    database.exec('DELETE FROM temp.needed')
  }

  need(imageId: ChunkId, manifest: Manifest): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO temp.needed VALUES (?)')
    inTransaction(this.#database, () => {
      for (const id of blocksOf(imageId, manifest)) insert.run(Buffer.from(id, 'hex'))
    })
  }

  found(): Garbage {
    const row = this.#database
      .prepare(`SELECT count(*) AS chunks, total(length) AS bytes FROM chunks WHERE ${unneeded}`)
      .get()
    return { chunks: Number(row?.chunks), bytes: Number(row?.bytes) }
  }

  /** Bytes that the file system could not take back, since it knows no holes. */
  async throwAway(): Promise<number> {
    inTransaction(this.#database, () => {
      this.#database.exec(`DELETE FROM chunks WHERE ${unneeded}`)
    })
    let kept = 0
    for (const pack of this.#index.packs()) kept += await this.#clear(pack)
    return kept
  }

  async #clear(pack: number): Promise<number> {
    const path = join(this.#packs, packFileName(pack))
    const handle = await open(path, 'r+')
    try {
      // Somebody's who is appending to it: the gap at its end is none.
      if (!(await lockSoon(handle.fd))) return 0
      const gaps = this.#gaps(pack)
      if (gaps === undefined) {
        this.#index.removePack(pack)
        await rm(path)
        return 0
      }
      let kept = 0
      for (const { offset, length } of gaps) {
        if (!(await punchHole(handle.fd, offset, length))) kept += length
      }
      return kept
    } catch (error) {
      throw fileError(error, path)
    } finally {
      await handle.close()
    }
  }

  /** Undefined when the pack has no record at all. */
  #gaps(pack: number): { offset: number; length: number }[] | undefined {
    const gaps = []
    let end = packHeaderBytes
    const records = this.#database
      .prepare('SELECT offset, length FROM chunks WHERE pack = ? ORDER BY offset')
      .iterate(pack)
    let isEmpty = true
    for (const record of records) {
      isEmpty = false
      const offset = Number(record.offset)
      if (offset - end >= gapBytesMin) gaps.push({ offset: end, length: offset - end })
      end = offset + Number(record.length)
    }
    if (isEmpty) return undefined
    const length = this.#index.packLength(pack) - end
    if (length >= gapBytesMin) gaps.push({ offset: end, length })
    return gaps
  }
}

function* blocksOf(imageId: ChunkId, manifest: Manifest): Generator<ChunkId> {
  yield imageId
  yield* manifest.root.pageIds
  for (const { id } of manifest.distinctChunks()) yield id
}
