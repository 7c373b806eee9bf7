import { limits } from '../base/index.ts'
import type { ChunkId } from '../base/index.ts'
import { pageChunks, pageCountOf } from './format.ts'
import { digestBytes, zeroId } from './ids.ts'

/**
 * Which chunk lies where in an image, and where a chunk lies. 40 bytes a chunk, since an image of
 * 100 GB has 800,000 of them: packed digests by page, and a chained hash table over positions.
 */
export class ChunkTable {
  readonly chunkCount: number
  readonly #pages: (Buffer | undefined)[]
  /** By bucket and by position: one more than the next position of the chain, 0 at its end. */
  readonly #heads: Uint32Array
  readonly #next: Uint32Array

  constructor(chunkCount: number) {
    this.chunkCount = chunkCount
    this.#pages = new Array<Buffer | undefined>(pageCountOf(chunkCount)).fill(undefined)
    this.#heads = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(chunkCount, 2))))
    this.#next = new Uint32Array(chunkCount)
  }

  get pageCount(): number {
    return this.#pages.length
  }

  hasPage(page: number): boolean {
    return this.#pages[page] !== undefined
  }

  /** Takes a page's packed digests over, kept and not copied. The page must not be here yet. */
  setPage(page: number, digests: Uint8Array): void {
    const kept = Buffer.from(digests.buffer, digests.byteOffset, digests.length)
    this.#pages[page] = kept
    const first = page * limits.pageChunksMax
    const count = kept.length / digestBytes
    for (let index = 0; index < count; index++) this.#chain(first + index, kept, index)
  }

  /** Sets one chunk of a page that is filled bit by bit; what is not set is a zero chunk. */
  setId(position: number, id: ChunkId): void {
    const page = Math.floor(position / limits.pageChunksMax)
    const index = position % limits.pageChunksMax
    const kept = (this.#pages[page] ??= Buffer.alloc(
      pageChunks(this.chunkCount, page) * digestBytes
    ))
    kept.write(id, index * digestBytes, 'hex')
    this.#chain(position, kept, index)
  }

  /** Packed digests of a page, all zero where nothing was set. */
  pageDigests(page: number): Uint8Array {
    return this.#pages[page] ?? Buffer.alloc(pageChunks(this.chunkCount, page) * digestBytes)
  }

  /** The chunk at a position, `zeroId` for an all-zero one, undefined while its page is not here. */
  idAt(position: number): ChunkId | undefined {
    const start = (position % limits.pageChunksMax) * digestBytes
    return this.#pages[Math.floor(position / limits.pageChunksMax)]?.toString(
      'hex',
      start,
      start + digestBytes
    )
  }

  /** Every known position of a chunk that is not zero, ascending. */
  positionsOf(id: ChunkId): number[] {
    const positions: number[] = []
    for (const position of this.#chainOf(id)) {
      if (this.idAt(position) === id) positions.push(position)
    }
    return positions.sort((a, b) => a - b)
  }

  includes(id: ChunkId): boolean {
    for (const position of this.#chainOf(id)) if (this.idAt(position) === id) return true
    return false
  }

  *#chainOf(id: ChunkId): Generator<number> {
    if (id === zeroId) return
    let link = this.#heads[this.#bucketOf(Number.parseInt(id.slice(0, 8), 16))] ?? 0
    while (link !== 0) {
      yield link - 1
      link = this.#next[link - 1] ?? 0
    }
  }

  #chain(position: number, digests: Buffer, index: number): void {
    const start = index * digestBytes
    if (isZeroDigest(digests, start)) return
    const bucket = this.#bucketOf(digests.readUInt32BE(start))
    this.#next[position] = this.#heads[bucket] ?? 0
    this.#heads[bucket] = position + 1
  }

  #bucketOf(digestStart: number): number {
    return digestStart % this.#heads.length
  }
}

function isZeroDigest(digests: Buffer, start: number): boolean {
  // Nearly every digest differs from zero in its first word already.
  if (digests.readUInt32BE(start) !== 0) return false
  return digests.toString('hex', start, start + digestBytes) === zeroId
}
