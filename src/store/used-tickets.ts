import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from './database.ts'

export interface TicketUse {
  readonly peerId: string
  /** Of the ticket; after it nobody needs to know any more. Both in ms, time of day. */
  readonly expiresMs: number
  readonly nowMs: number
}

/** Which tickets for one machine have been used, and by whom, until they expire. */
export class UsedTickets {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /**
   * Durable when it returns. False if another peer has used it before; whoever did may do so again,
   * since the answer may not have reached it.
   */
  use(nonce: Uint8Array, { peerId, expiresMs, nowMs }: TicketUse): boolean {
    const database = this.#database
    return inTransaction(database, () => {
      database.prepare('DELETE FROM used_tickets WHERE expires_ms < ?').run(nowMs)
      database
        .prepare('INSERT OR IGNORE INTO used_tickets VALUES (?, ?, ?)')
        .run(nonce, peerId, expiresMs)
      const row = database.prepare('SELECT peer_id FROM used_tickets WHERE nonce = ?').get(nonce)
      return row?.peer_id === peerId
    })
  }
}
