import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { limits } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { decodeBootOrder, digestBytes, encodeBootOrder } from '../image/index.ts'
import type { NamedStep } from '../image/index.ts'
import { inTransaction } from './database.ts'

/** What one machine's last boot of an image touched. */
export interface BootReport {
  readonly imageId: ChunkId
  /** The machine's peer id: it has one say, however often it boots. */
  readonly machine: string
  /** Of the image, in bytes. */
  readonly chunkSize: number
  readonly steps: readonly NamedStep[]
}

/** The boots that machines reported, the last few of each image. */
export class BootReports {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** `names` are those that the image has now: by them its next version finds what is known of it. */
  add(report: BootReport, names: readonly string[], nowMs: number): void {
    const { imageId, machine, chunkSize, steps } = report
    const digest = Buffer.from(imageId, 'hex')
    const ids = Buffer.from(steps.map(({ id }) => id).join(''), 'hex')
    inTransaction(this.#database, () => {
      this.#database
        .prepare('INSERT OR REPLACE INTO boot_reports VALUES (?, ?, ?, ?, ?, ?)')
        .run(digest, machine, nowMs, chunkSize, encodeBootOrder(steps), ids)
      this.#database
        .prepare(
          `DELETE FROM boot_reports WHERE image = ?1 AND machine NOT IN (
             SELECT machine FROM boot_reports WHERE image = ?1 ORDER BY at_ms DESC, machine LIMIT ?2)`
        )
        .run(digest, limits.bootReportsMax)
      for (const name of names) {
        this.#database
          .prepare('INSERT OR REPLACE INTO boot_names VALUES (?, ?, ?)')
          .run(name, digest, nowMs)
      }
    })
  }

  /** Newest first. */
  of(imageId: ChunkId): BootReport[] {
    return this.#database
      .prepare('SELECT * FROM boot_reports WHERE image = ? ORDER BY at_ms DESC, machine')
      .all(Buffer.from(imageId, 'hex'))
      .flatMap(row => reportOf(imageId, row))
  }

  /** The image that had one of the names and was booted last; never `imageId` itself. */
  formerOf(imageId: ChunkId, names: readonly string[]): ChunkId | undefined {
    const rows = names.flatMap(name =>
      this.#database
        .prepare('SELECT image, at_ms FROM boot_names WHERE name = ? AND image <> ?')
        .all(name, Buffer.from(imageId, 'hex'))
    )
    const [newest] = rows.sort((a, b) => Number(b.at_ms) - Number(a.at_ms))
    return newest && Buffer.from(newest.image as Uint8Array).toString('hex')
  }
}

/** None for a row that is damaged: a boot without a profile is slower, and nothing else. */
function reportOf(imageId: ChunkId, row: Record<string, SQLOutputValue>): BootReport[] {
  const order = decodeBootOrder(row.steps as Uint8Array)
  const ids = Buffer.from(row.ids as Uint8Array)
  if (order === undefined || ids.length !== order.length * digestBytes) return []
  const steps = order.map((step, index) => ({
    ...step,
    id: ids.toString('hex', index * digestBytes, (index + 1) * digestBytes)
  }))
  return [{ imageId, machine: String(row.machine), chunkSize: Number(row.chunk_size), steps }]
}
