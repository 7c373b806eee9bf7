import { DatabaseSync } from 'node:sqlite'
import { BootswarmError } from '../base/index.ts'
import { formatVersionError } from '../image/index.ts'
import { storeVersion } from './format.ts'

// How long a writer waits for another process that is committing: commits take milliseconds.
const busyMs = 10_000

const schema = `
  CREATE TABLE packs (
    number INTEGER PRIMARY KEY,
    -- Bytes up to the end of the last indexed record: what the file must have at the least.
    length INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE chunks (
    digest BLOB PRIMARY KEY,
    pack INTEGER NOT NULL REFERENCES packs (number),
    -- Of the record, header included, in bytes.
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE images (
    digest BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    zero_chunks INTEGER NOT NULL,
    distinct_chunks INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE releases (
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    image BLOB NOT NULL REFERENCES images (digest),
    serial INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (name, tag)
  ) STRICT, WITHOUT ROWID;
`

// Came later than version 1 without changing what it means: made in stores that lack them.
const addedTables = `
  -- The last serial of names that were removed: a name's releases only ever grow newer.
  CREATE TABLE IF NOT EXISTS former_releases (
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    serial INTEGER NOT NULL,
    PRIMARY KEY (name, tag)
  ) STRICT, WITHOUT ROWID;
  -- What machines' last boots of an image read, in order.
  CREATE TABLE IF NOT EXISTS boot_reports (
    image BLOB NOT NULL,
    machine TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL,
    steps BLOB NOT NULL,
    -- The digests of the steps' chunks: the image may be gone when its next version is booted.
    ids BLOB NOT NULL,
    PRIMARY KEY (image, machine)
  ) STRICT, WITHOUT ROWID;
  -- The names that an image had when it was booted.
  CREATE TABLE IF NOT EXISTS boot_names (
    name TEXT NOT NULL,
    image BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (name, image)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS used_tickets (
    nonce BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`

/** Opens a store's index; with `create`, makes its tables where they are not there yet. */
export function openDatabase(path: string, create: boolean): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyMs, enableForeignKeyConstraints: true })
  try {
    // A commit that has returned survives a power cut, and readers never wait for a writer.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
    if (create && version === 0) {
      inTransaction(database, () =>
        database.exec(`${schema} PRAGMA user_version = ${storeVersion}`)
      )
    } else if (version === 0) {
      throw new BootswarmError('ERR_STORE_CORRUPT', `${path} is empty; restore it from a backup`)
    } else if (version !== storeVersion) {
      throw formatVersionError(`the index ${path}`, version, storeVersion)
    }
    database.exec(addedTables)
    return database
  } catch (error) {
    database.close()
    throw databaseError(error, path)
  }
}

/** Runs `work` as one transaction: all of it is there after a crash, or none. */
export function inTransaction<Result>(database: DatabaseSync, work: () => Result): Result {
  // IMMEDIATE: a reader that turns writer midway could be refused without waiting.
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

// Primary result codes of SQLite (sqlite.org/rescode.html).
const sqliteBusy = 5
const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteFull = 13
const sqliteNotADatabase = 26

/** An error of SQLite as one of ours that names the file; any other as it is. */
export function databaseError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error
  const options = { cause: error }
  switch (Number(error.errcode) & 0xff) {
    case sqliteBusy:
      return new BootswarmError('ERR_STORE_BUSY', `another process keeps ${path} locked`, options)
    case sqliteFull:
      return new BootswarmError('ERR_DISK_FULL', `the file system of ${path} is full`, options)
    case sqliteIoError:
      return new BootswarmError('ERR_DISK_IO', `the disk of ${path} reports an error`, options)
    case sqliteCorrupt:
    case sqliteNotADatabase:
      return new BootswarmError(
        'ERR_STORE_CORRUPT',
        `${path} is damaged; restore it from a backup, or import into a new store`,
        options
      )
    default:
      return error
  }
}
