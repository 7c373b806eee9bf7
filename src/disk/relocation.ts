import { BootswarmError } from '../base/index.ts'
import type { ChunkId, Logger } from '../base/index.ts'
import { chunkIdOf, plainFrame, verifiedPlain } from '../image/index.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { DiskParts } from './disk-parts.ts'
import type { JournalRecord } from './journal-format.ts'
import type { Metadata } from './metadata.ts'
import { MoveOrder } from './move-order.ts'
import { blockStates, masks } from './presence-map.ts'
import { fromAside } from './reuse-plan.ts'
import type { Move } from './reuse-plan.ts'
import { searchChunks } from './scan.ts'
import type { ScanProgress } from './scan.ts'
import type { Storage } from './storage.ts'
import type { ChunkNames } from './verification.ts'

export interface RelocationParts {
  readonly states: ChunkStates
  readonly target: Storage
  readonly metadata: Metadata
  /** Of the new image, with all its pages. */
  readonly names: ChunkNames
  readonly logger: Logger
  readonly onScan?: (progress: ScanProgress) => void
}

/** Does what a disk still has to do before it is used; resolves to the plain bytes used again. */
export async function relocate(
  { target, metadata, relocating, settle }: DiskParts,
  states: ChunkStates,
  logger: Logger
): Promise<number> {
  let bytes = relocating?.keptBytes ?? 0
  if (metadata.superblock.relocating) {
    if (relocating === undefined) {
      throw new BootswarmError('ERR_INTERNAL', 'a disk was opened without what it has to reuse')
    }
    const { names, onScan } = relocating.reuse
    const relocation = new Relocation({ states, target, metadata, names, logger, onScan })
    bytes += await relocation.run(relocating.moves)
  }
  await settle?.()
  return bytes
}

/** Chunks that are made durable together. */
const batchChunks = 256

/**
 * Brings the chunks that the target holds to where the new image has them, before anybody else uses
 * the disk. A chunk counts when it has been hashed and is durable, and none is overwritten while it is
 * still to be moved: so what a crash leaves is found again by hashing what lies on the target
 * (docs/disk-format.md, "Another image").
 */
export class Relocation {
  readonly #parts: RelocationParts
  /** Goals whose frames are in the aside area. */
  readonly #held = new Set<number>()
  #bytes = 0

  constructor(parts: RelocationParts) {
    this.#parts = parts
  }

  /** Resolves to the plain bytes that could be used again. Without `moves` it looks for them itself. */
  async run(moves: readonly Move[] | undefined): Promise<number> {
    const { metadata, states } = this.#parts
    const all = moves ?? (await this.#search())
    await this.#confirm(all.filter(({ from, to }) => from === to))
    await this.#moveAll(all.filter(({ from, to }) => from !== to))
    states.aside.clear()
    await metadata.checkpoint()
    await metadata.endRelocation()
    return this.#bytes
  }

  async #search(): Promise<readonly Move[]> {
    const { states, target, metadata, names, onScan } = this.#parts
    const { formerBytes } = metadata.superblock
    const found = await searchChunks({ states, names, target, formerBytes, onProgress: onScan })
    // It was read, but perhaps from a cache that a power loss would have emptied.
    await target.sync()
    await this.#record(found.inPlace)
    return found.moves
  }

  /** Chunks that are where they have to be, if they are what they were. */
  async #confirm(moves: readonly Move[]): Promise<void> {
    const confirmed: number[] = []
    for (const move of moves) if ((await this.#plainOf(move)) !== undefined) confirmed.push(move.to)
    if (confirmed.length > 0) await this.#parts.target.sync()
    await this.#record(confirmed)
  }

  async #moveAll(moves: readonly Move[]): Promise<void> {
    const order = new MoveOrder(moves)
    for (const { from, to } of moves) if (from === fromAside) this.#held.add(to)
    // Frames that are of no use must not take the room of those that open a circle.
    if (this.#held.size === 0) this.#parts.states.aside.clear()
    while (!order.done) {
      const batch = order.next(batchChunks)
      if (batch.length > 0) await this.#moveBatch(batch, order)
      else await this.#openCircles(order)
    }
  }

  async #moveBatch(batch: readonly Move[], order: MoveOrder): Promise<void> {
    const { states, target } = this.#parts
    const moved: number[] = []
    for (const move of batch) {
      const plain = await this.#plainOf(move)
      if (plain === undefined) continue
      await target.write(move.to * states.image.chunkSize, plain)
      moved.push(move.to)
    }
    if (target.dirty) await target.sync()
    await this.#record(moved)
    for (const move of batch) {
      if (move.from === fromAside) this.#drop(move.to)
      order.finish(move)
    }
  }

  /** Puts one chunk of each circle aside, so that its place is free. */
  async #openCircles(order: MoveOrder): Promise<void> {
    const { states, metadata, logger } = this.#parts
    const circles = order.circles(batchChunks)
    const opened: Move[] = []
    for (const move of circles) {
      const plain = await this.#plainOf(move)
      if (plain === undefined) order.finish(move)
      else if (await states.aside.put(move.to, plainFrame(plain))) opened.push(move)
      else break
    }
    // Whatever was put aside before has been used, so the area was empty: it is too small.
    const [first] = circles
    if (opened.length === 0 && first !== undefined) {
      logger.warn('no room to move a chunk: it is fetched again', { position: first.to })
      order.finish(first)
    }
    await metadata.sync()
    for (const move of opened) {
      this.#held.add(move.to)
      order.detach(move)
    }
  }

  /** The chunk as it is on the target or put aside, if it is what the goal shall be. */
  async #plainOf({ from, to }: Move): Promise<Uint8Array | undefined> {
    const { names, logger } = this.#parts
    const id = names.chunkIdAt(to)
    const plain = from === fromAside ? await this.#framed(to, id) : await this.#read(from, to)
    if (plain !== undefined && id !== undefined && chunkIdOf(plain) === id) return plain
    logger.warn('a chunk of the earlier deployment is not what it was: it is fetched again', {
      position: to
    })
    return undefined
  }

  async #framed(position: number, id: ChunkId | undefined): Promise<Uint8Array | undefined> {
    const { states } = this.#parts
    const frame = await states.aside.get(position)
    if (frame === undefined || id === undefined) return undefined
    return verifiedPlain(id, frame, states.lengthOf(position)).catch(() => undefined)
  }

  async #read(from: number, to: number): Promise<Uint8Array | undefined> {
    const { states, target } = this.#parts
    const start = from * states.image.chunkSize
    const length = states.lengthOf(to)
    return start + length <= target.size ? target.read(start, length) : undefined
  }

  /** The chunks are on the target, durable. Their bytes count, and their records are durable after it. */
  async #record(positions: readonly number[]): Promise<void> {
    const { states, metadata } = this.#parts
    const records: JournalRecord[] = []
    for (const position of positions) {
      const { block, count } = states.map.chunk(position)
      states.map.mark(block, count, masks.missing, blockStates.pristine)
      records.push({ kind: 'pristine', block, count })
      states.refresh(position)
      this.#bytes += states.lengthOf(position)
    }
    if (records.length === 0) return
    await metadata.append(records)
    await metadata.sync()
  }

  #drop(position: number): void {
    this.#held.delete(position)
    this.#parts.states.aside.forget(position)
    if (this.#held.size === 0) this.#parts.states.aside.clear()
  }
}
