import { isErrorCode, partsOf, type ByteRange, type ChunkPart } from '../base/index.ts'
import type { MachineIo } from './background-pace.ts'
import { blocksOf, bytesOf } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Demand } from './demand.ts'
import { masks } from './presence-map.ts'
import type { RoomWait } from './room-wait.ts'
import type { Storage } from './storage.ts'

export interface BlockReaderParts {
  readonly states: ChunkStates
  readonly demand: Demand
  readonly target: Storage
  readonly io: MachineIo
  readonly room: RoomWait
  /** Makes a chunk needed whose blocks cannot be read. */
  readonly onUnreadable: (position: number) => Promise<void>
}

/** The machine's reads: waits for what is missing, and reads what is there. */
export class BlockReader {
  readonly #parts: BlockReaderParts

  constructor(parts: BlockReaderParts) {
    this.#parts = parts
  }

  /** What the disk cannot read any more is fetched again and rewritten; ERR_DISK_IO if that fails. */
  async read(
    range: ByteRange,
    signal: AbortSignal | undefined,
    into: Buffer | undefined
  ): Promise<Uint8Array> {
    try {
      return await this.#readArrived(range, signal, into)
    } catch (error) {
      if (!isErrorCode(error, 'ERR_DISK_IO')) throw error
      const lost = await this.#unreadableChunks(range)
      if (lost.length === 0) throw error
      for (const position of lost) await this.#parts.onUnreadable(position)
      return this.#readArrived(range, signal, into)
    }
  }

  /** What is here and in memory is read at once; false for anything else. */
  readNow(offset: number, into: Buffer): boolean {
    const { states, target, io } = this.#parts
    const range = { offset, length: into.length }
    if (!states.holdsData(blocksOf(range)) || target.readNow?.(offset, into) !== true) return false
    io.touched()
    return true
  }

  /** Resolves when every block of the range was here once. On a full disk it may have gone again. */
  async arrival(range: ByteRange, signal: AbortSignal | undefined): Promise<void> {
    const absent = this.#absentParts(range)
    if (absent.length > 0) await Promise.all(absent.map(part => this.#arrivalOf(part, signal)))
  }

  async #readArrived(
    range: ByteRange,
    signal: AbortSignal | undefined,
    into: Buffer | undefined
  ): Promise<Uint8Array> {
    const { io, room, states } = this.#parts
    for (;;) {
      // Only so many chunks wait for room together: not as many, perhaps, as the range has.
      if (room.isFull) {
        const parts = partsOf(range, states.image.chunkSize)
        if (parts.length > 1) return this.#readByParts(parts, signal)
      }
      await this.arrival(range, signal)
      if (this.#absentParts(range).length > 0) continue
      return io.run(() => this.#readPresent(range, into))
    }
  }

  async #readByParts(
    parts: readonly ChunkPart[],
    signal: AbortSignal | undefined
  ): Promise<Uint8Array> {
    const read: Uint8Array[] = []
    for (const part of parts) read.push(await this.#readArrived(part, signal, undefined))
    return Buffer.concat(read)
  }

  /** Positions of chunks with blocks of the image that fail; the machine's own nobody else has. */
  async #unreadableChunks(range: ByteRange): Promise<number[]> {
    const { states, target } = this.#parts
    const { map, image } = states
    const lost = new Set<number>()
    for (const part of partsOf(range, image.chunkSize)) {
      const { block, count } = blocksOf(part)
      for (const run of map.runs(block, count, masks.pristine)) {
        const { offset, length } = bytesOf(run, image.size)
        await target.read(offset, length).catch(() => lost.add(part.position))
      }
    }
    return [...lost]
  }

  #absentParts(range: ByteRange): ChunkPart[] {
    const { states } = this.#parts
    const { block, count } = blocksOf(range)
    if (!states.map.any(block, count, masks.missing)) return []
    return partsOf(range, states.image.chunkSize).filter(part => this.#isAbsent(part))
  }

  #isAbsent(part: ChunkPart): boolean {
    const { states, room } = this.#parts
    const { map, zero } = states
    const { block, count } = blocksOf(part)
    if (room.plain(part.position) !== undefined) return false
    return !zero.has(part.position) && map.any(block, count, masks.missing)
  }

  #arrivalOf(part: ChunkPart, signal: AbortSignal | undefined): Promise<void> {
    const { demand } = this.#parts
    return demand.wait(part.position, 'read', () => !this.#isAbsent(part), signal)
  }

  /** Of chunks that wait for room on the target. */
  #copyHeld(range: ByteRange, bytes: Buffer): void {
    const { states, room } = this.#parts
    for (const part of partsOf(range, states.image.chunkSize)) {
      const start = part.offset - part.position * states.image.chunkSize
      const plain = room.plain(part.position)?.subarray(start, start + part.length)
      if (plain !== undefined) bytes.set(plain, part.offset - range.offset)
    }
  }

  /** What is still missing here is zeros that are promised, or waits for room. */
  async #readPresent(range: ByteRange, into: Buffer | undefined): Promise<Uint8Array> {
    const { target, states } = this.#parts
    const { map, image } = states
    const { block, count } = blocksOf(range)
    if (!map.any(block, count, masks.missing)) return target.read(range.offset, range.length, into)
    const bytes = Buffer.alloc(range.length)
    const end = range.offset + range.length
    this.#copyHeld(range, bytes)
    await Promise.all(
      map.runs(block, count, masks.present).map(async run => {
        const whole = bytesOf(run, image.size)
        const start = Math.max(whole.offset, range.offset)
        const stop = Math.min(whole.offset + whole.length, end)
        bytes.set(await target.read(start, stop - start), start - range.offset)
      })
    )
    return bytes
  }
}
