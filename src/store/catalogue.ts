import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { BootswarmError } from '../base/index.ts'
import type { ChunkId, SigningKey } from '../base/index.ts'
import {
  idOfCidText,
  imageCidText,
  openRelease,
  parseImageName,
  signRelease
} from '../image/index.ts'
import type { ImportResult, Release } from '../image/index.ts'
import { inTransaction } from './database.ts'

/** An image that the store holds whole. */
export interface ImageRecord extends Omit<ImportResult, 'newBytes'> {
  readonly createdMs: number
}

/** A release with the bytes that prove it. */
export interface SignedRelease extends Release {
  readonly signed: Uint8Array
}

export interface Resolved {
  readonly imageId: ChunkId
  /** Absent when the image was asked for by its CID, which proves itself. */
  readonly signed?: Uint8Array
}

type Row = Record<string, SQLOutputValue>

/** The images of a store and the names that its lab has signed for them. */
export class Catalogue {
  readonly #database: DatabaseSync
  readonly #lab: SigningKey

  constructor(database: DatabaseSync, lab: SigningKey) {
    this.#database = database
    this.#lab = lab
  }

  /** The same image again changes nothing. */
  addImage(image: Omit<ImportResult, 'newBytes'>, createdMs: number): void {
    this.#database
      .prepare('INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(
        digestOf(image.imageId),
        image.size,
        image.chunkSize,
        image.chunks,
        image.zeroChunks,
        image.distinctChunks,
        image.storedBytes,
        createdMs
      )
  }

  image(imageId: ChunkId): ImageRecord | undefined {
    const row = this.#database
      .prepare('SELECT * FROM images WHERE digest = ?')
      .get(digestOf(imageId))
    return row === undefined ? undefined : imageOf(row)
  }

  /** Oldest first. */
  images(): ImageRecord[] {
    return this.#database
      .prepare('SELECT * FROM images ORDER BY created_ms, digest')
      .all()
      .map(imageOf)
  }

  /**
   * Signs that a name is an image from now on. A name that is that image already keeps its release.
   * ERR_IMAGE_UNKNOWN if the image is not in the store.
   */
  addRelease(move: Pick<Release, 'name' | 'tag' | 'imageId'>, createdMs: number): SignedRelease {
    const { name, tag, imageId } = move
    return inTransaction(this.#database, () => {
      const current = this.release(name, tag)
      if (current?.imageId === imageId) return current
      if (this.image(imageId) === undefined) {
        throw unknown(imageCidText(imageId))
      }
      const serial = this.#lastSerial(name, tag) + 1
      const release = { name, tag, imageId, serial, createdMs }
      const signed = signRelease(this.#lab, release)
      this.#database
        .prepare('INSERT OR REPLACE INTO releases VALUES (?, ?, ?, ?, ?, ?)')
        .run(name, tag, digestOf(imageId), release.serial, createdMs, signed)
      return { ...release, signed }
    })
  }

  release(name: string, tag: string): SignedRelease | undefined {
    const row = this.#database
      .prepare('SELECT signed FROM releases WHERE name = ? AND tag = ?')
      .get(name, tag)
    return row === undefined ? undefined : this.#opened(row)
  }

  releases(): SignedRelease[] {
    const rows = this.#database.prepare('SELECT signed FROM releases ORDER BY name, tag').all()
    return rows.map(row => this.#opened(row))
  }

  /**
   * Forgets a name, and its image too when it has no other; true if so. The name's next release is
   * newer than its last. ERR_IMAGE_UNKNOWN.
   */
  removeRelease(name: string, tag: string): boolean {
    return inTransaction(this.#database, () => {
      const release = this.release(name, tag)
      if (release === undefined) throw unknown(`${name}:${tag}`)
      this.#database
        .prepare('INSERT OR REPLACE INTO former_releases VALUES (?, ?, ?)')
        .run(name, tag, release.serial)
      this.#database.prepare('DELETE FROM releases WHERE name = ? AND tag = ?').run(name, tag)
      if (this.#isNamed(release.imageId)) return false
      this.#forgetImage(release.imageId)
      return true
    })
  }

  /** Forgets an image that has no name. ERR_IMAGE_UNKNOWN; ERR_IMAGE_NAMED if it has one. */
  removeImage(imageId: ChunkId): void {
    inTransaction(this.#database, () => {
      const cid = imageCidText(imageId)
      if (this.image(imageId) === undefined) throw unknown(cid)
      if (this.#isNamed(imageId)) {
        throw new BootswarmError(
          'ERR_IMAGE_NAMED',
          `image ${cid} has a name; remove it by its names`
        )
      }
      this.#forgetImage(imageId)
    })
  }

  /** An image by its name, name and tag, or CID. ERR_NAME_INVALID for text that is none of them. */
  resolve(nameOrCid: string): Resolved | undefined {
    const imageId = idOfCidText(nameOrCid)
    if (imageId !== undefined) return this.image(imageId) === undefined ? undefined : { imageId }
    const { name, tag } = parseImageName(nameOrCid)
    const release = this.release(name, tag)
    return release && { imageId: release.imageId, signed: release.signed }
  }

  #lastSerial(name: string, tag: string): number {
    const former = this.#database
      .prepare('SELECT serial FROM former_releases WHERE name = ? AND tag = ?')
      .get(name, tag)
    return this.release(name, tag)?.serial ?? Number(former?.serial ?? 0)
  }

  #isNamed(imageId: ChunkId): boolean {
    const found = this.#database
      .prepare('SELECT 1 FROM releases WHERE image = ?')
      .get(digestOf(imageId))
    return found !== undefined
  }

  #forgetImage(imageId: ChunkId): void {
    this.#database.prepare('DELETE FROM images WHERE digest = ?').run(digestOf(imageId))
  }

  /** The signed bytes are the truth; the columns beside them are for SQL alone. */
  #opened(row: Row): SignedRelease {
    const signed = row.signed as Uint8Array
    return { ...openRelease(this.#lab.publicKey, signed), signed }
  }
}

function unknown(nameOrCid: string): BootswarmError {
  return new BootswarmError('ERR_IMAGE_UNKNOWN', `the store has no image ${nameOrCid}`)
}

function digestOf(id: ChunkId): Uint8Array {
  return Buffer.from(id, 'hex')
}

function imageOf(row: Row): ImageRecord {
  return {
    imageId: Buffer.from(row.digest as Uint8Array).toString('hex'),
    size: Number(row.size),
    chunkSize: Number(row.chunk_size),
    chunks: Number(row.chunks),
    zeroChunks: Number(row.zero_chunks),
    distinctChunks: Number(row.distinct_chunks),
    storedBytes: Number(row.stored_bytes),
    createdMs: Number(row.created_ms)
  }
}
