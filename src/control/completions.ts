import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { limits } from '../base/index.ts'
import { formatVersionError } from '../image/index.ts'
import { databaseError } from '../store/index.ts'

/** A machine's signed word that its disk is whole and verified, as a seed keeps it. */
export interface KeptCompletion {
  readonly peerId: string
  /** The machine's name, as its certificate said then. */
  readonly name: string
  /** The report's bytes: whoever reads them checks the signature. */
  readonly signed: Uint8Array
  /** Time of day by this host's clock. */
  readonly receivedMs: number
}

const fileName = 'control.sqlite'
const version = 1
const busyMs = 10_000

const schema = `
  CREATE TABLE completions (
    peer_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    signed BLOB NOT NULL,
    received_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${version};
`

/** What a seed keeps of its machines: in the store's directory, the last report of each. */
export class Completions {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #machinesMax: number

  /** ERR_FORMAT_VERSION, ERR_STORE_CORRUPT, ERR_DISK_FULL, ERR_DISK_IO. */
  constructor(storeDir: string, machinesMax: number = limits.machinesMax) {
    this.#machinesMax = machinesMax
    this.#path = join(storeDir, fileName)
    this.#database = new DatabaseSync(this.#path, { timeout: busyMs })
    try {
      this.#prepare()
    } catch (error) {
      this.#database.close()
      throw databaseError(error, this.#path)
    }
  }

  /** In place of what the machine said before; durable when it returns. */
  keep({ peerId, name, signed, receivedMs }: KeptCompletion): void {
    this.#asked(() => {
      this.#database
        .prepare('INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?)')
        .run(peerId, name, signed, receivedMs)
      this.#database
        .prepare(
          `DELETE FROM completions WHERE peer_id IN
             (SELECT peer_id FROM completions ORDER BY received_ms DESC LIMIT -1 OFFSET ?)`
        )
        .run(this.#machinesMax)
    })
  }

  /** Oldest first. */
  all(): KeptCompletion[] {
    const rows = this.#asked(() =>
      this.#database.prepare('SELECT * FROM completions ORDER BY received_ms, peer_id').all()
    )
    return rows.map(row => ({
      peerId: String(row.peer_id),
      name: String(row.name),
      signed: row.signed as Uint8Array,
      receivedMs: Number(row.received_ms)
    }))
  }

  close(): void {
    this.#database.close()
  }

  #prepare(): void {
    // A report that was taken survives a power cut: the machine says it to a seed once a connection.
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const found = Number(this.#database.prepare('PRAGMA user_version').get()?.user_version)
    if (found === 0) this.#database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`)
    else if (found !== version) throw formatVersionError(this.#path, found, version)
  }

  #asked<Answer>(question: () => Answer): Answer {
    try {
      return question()
    } catch (error) {
      throw databaseError(error, this.#path)
    }
  }
}
