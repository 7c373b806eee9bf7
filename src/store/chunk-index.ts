import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ChunkId } from '../base/index.ts'
import { inTransaction } from './database.ts'
import { packHeaderBytes } from './format.ts'

/** Where a chunk's record lies: pack number, offset and length of the whole record in bytes. */
export interface Location {
  readonly pack: number
  readonly offset: number
  readonly length: number
}

/**
 * Which record holds a chunk, asked of SQLite each time: so a chunk that another process has added
 * is found at once.
 */
export class ChunkIndex {
  readonly #database: DatabaseSync
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #grow: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#find = database.prepare('SELECT pack, offset, length FROM chunks WHERE digest = ?')
    // Two processes may have stored the same chunk; the first one stays.
    this.#insert = database.prepare(
      'INSERT OR IGNORE INTO chunks (digest, pack, offset, length) VALUES (?, ?, ?, ?)'
    )
    this.#grow = database.prepare(
      'UPDATE packs SET length = max(length, :end) WHERE number = :pack'
    )
  }

  find(id: ChunkId): Location | undefined {
    const row = this.#find.get(Buffer.from(id, 'hex'))
    if (row === undefined) return undefined
    return { pack: Number(row.pack), offset: Number(row.offset), length: Number(row.length) }
  }

  /** Adds records whose bytes are on stable storage, all or none. */
  add(records: Iterable<readonly [ChunkId, Location]>): void {
    inTransaction(this.#database, () => {
      for (const [id, { pack, offset, length }] of records) {
        this.#insert.run(Buffer.from(id, 'hex'), pack, offset, length)
        this.#grow.run({ end: offset + length, pack })
      }
    })
  }

  /** Numbers of all packs, ascending. */
  packs(): number[] {
    const rows = this.#database.prepare('SELECT number FROM packs ORDER BY number').all()
    return rows.map(row => Number(row.number))
  }

  /** Bytes that a pack's file must have at the least; 0 for an unknown one. */
  packLength(pack: number): number {
    const row = this.#database.prepare('SELECT length FROM packs WHERE number = ?').get(pack)
    return Number(row?.length ?? 0)
  }

  addPack(pack: number): void {
    this.#database
      .prepare('INSERT INTO packs (number, length) VALUES (?, ?)')
      .run(pack, packHeaderBytes)
  }

  removePack(pack: number): void {
    this.#database.prepare('DELETE FROM packs WHERE number = ?').run(pack)
  }
}
