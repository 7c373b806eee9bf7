import { isErrorCode, type ByteRange, type ChunkPart } from '../base/index.ts'
import type { Frame, Logger } from '../base/index.ts'
import { blocksOf, bytesOf, edgesOf } from './block-ranges.ts'
import type { ChunkLocks } from './chunk-locks.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Demand, DemandEvents } from './demand.ts'
import type { Metadata } from './metadata.ts'
import { blockStates, masks } from './presence-map.ts'
import type { BlockRun } from './presence-map.ts'
import type { Recorder } from './recorder.ts'
import type { RoomWait } from './room-wait.ts'
import type { Storage } from './storage.ts'

export interface ChunkWriterParts {
  readonly states: ChunkStates
  readonly locks: ChunkLocks
  readonly demand: Demand
  readonly recorder: Recorder
  readonly target: Storage
  readonly metadata: Metadata
  readonly room: RoomWait
  readonly logger: Logger
  readonly encodeFrame: (plain: Uint8Array) => Promise<Frame>
  readonly onGivenUp: (count: number) => void
  readonly onNeed: DemandEvents['onNeed']
}

/**
 * What changes a chunk: the machine's writes and arriving chunks. Both go through the chunk's lock,
 * so that a chunk that arrives never overwrites what the machine wrote. Writes share the lock, but
 * for those that must be alone: while the pristine frame is put aside, or a zero block filled up.
 */
export class ChunkWriter {
  readonly #parts: ChunkWriterParts

  constructor(parts: ChunkWriterParts) {
    this.#parts = parts
  }

  /**
   * The machine writes into one chunk (`undefined`: zeros, whole blocks). Waits for the chunk where a
   * block is missing and not all written.
   */
  async write(part: ChunkPart, data: Uint8Array | undefined): Promise<void> {
    const { states, locks, demand } = this.#parts
    for (let done = false; !done;) {
      const blocked = (): boolean =>
        !states.zero.has(part.position) && this.#missingEdges(part).length > 0
      if (blocked()) await demand.wait(part.position, 'write', () => !blocked())
      const mode = this.#mustBeAlone(part) ? 'exclusive' : 'shared'
      done = await locks.run(part.position, mode, async () => {
        // What was seen before the wait for the lock may have changed.
        if (blocked() || (mode === 'shared' && this.#mustBeAlone(part))) return false
        await this.#writeLocked(part, data)
        return true
      })
    }
  }

  /**
   * As `write` of whole blocks of one chunk that hold nothing of the image, where nothing has to be waited for;
   * takes a copy. False, and nothing is done, if something has.
   */
  writeNow(part: ChunkPart, data: Uint8Array): boolean {
    const { states, locks, recorder } = this.#parts
    const { map, image } = states
    const { block, count } = blocksOf(part)
    if (edgesOf(part, image.size).length > 0 || !locks.isFree(part.position)) return false
    if (map.any(block, count, masks.pristine)) return false
    const untouched = (map.chunkStates(part.position) & masks.written) === 0
    if (!recorder.writeNow(part, data)) return false
    this.#written(part.position, untouched)
    return true
  }

  /**
   * A verified pristine chunk has arrived. False if nothing of it was needed. While the target's file
   * system is full it waits for room, and is read from memory meanwhile; ERR_DISK_FULL if so many wait
   * that it is dropped, and is needed as before.
   */
  async place(position: number, plain: Uint8Array, frame: Frame | undefined): Promise<boolean> {
    const { locks, room, demand } = this.#parts
    for (;;) {
      try {
        const job = (): Promise<boolean> => this.#placeLocked(position, plain, frame)
        const placed = await locks.run(position, 'exclusive', job)
        room.found(position)
        return placed
      } catch (error) {
        const isFull = isErrorCode(error, 'ERR_DISK_FULL')
        if (isFull) room.hold(position, plain)
        else room.found(position)
        demand.wake(position, true)
        // Who still waits has nothing to wait for: the disk takes neither the chunk nor a write to it.
        demand.fail(position, error as Error)
        if (!isFull || !(await room.wait(position))) throw error
      }
    }
  }

  async #placeLocked(
    position: number,
    plain: Uint8Array,
    frame: Frame | undefined
  ): Promise<boolean> {
    const { states, demand } = this.#parts
    if (!states.needs(position)) return false
    await this.#fillMissing(position, plain)
    demand.wake(position, true)
    const written = (states.map.chunkStates(position) & masks.written) !== 0
    const keep = written && !states.aside.has(position) && !states.givenUp.has(position)
    if (keep) await this.#putAside(position, frame ?? (await this.#parts.encodeFrame(plain)))
    states.refresh(position)
    return true
  }

  async #fillMissing(position: number, plain: Uint8Array): Promise<void> {
    const { states, recorder, target, metadata } = this.#parts
    const { map, image } = states
    const { block, count } = map.chunk(position)
    const missing = map.runs(block, count, masks.missing)
    if (missing.length === 0) return
    const start = position * image.chunkSize
    for (const run of missing) {
      const { offset, length } = bytesOf(run, image.size)
      const data = plain.subarray(offset - start, offset - start + length)
      await this.#writeMissing(offset, data)
    }
    // A crash can leave a chunk with some blocks recorded and others not. The recorder knows whole
    // chunks only, so in that rare case the rest is recorded at once.
    const mixed = map.any(block, count, masks.pristine)
    if (mixed) await target.sync()
    for (const run of missing) map.mark(run.block, run.count, masks.missing, blockStates.pristine)
    if (mixed) await metadata.append(missing.map(run => ({ kind: 'pristine', ...run })))
    else recorder.placed(position)
  }

  async #writeLocked(part: ChunkPart, data: Uint8Array | undefined): Promise<void> {
    const { states, recorder } = this.#parts
    const { map } = states
    const { position } = part
    const blocks = blocksOf(part)
    if (states.owesAside(position)) {
      const touched = recorder.isUnrecorded(position) ? undefined : recorder.touch(position)
      await Promise.all([this.#takeAside(position), touched])
    }
    const untouched = (map.chunkStates(position) & masks.written) === 0
    const filled = this.#filledUp(part, data)
    for (let wait = this.#notYet(position, blocks); wait !== undefined;) {
      await wait
      wait = this.#notYet(position, blocks)
    }
    const missing = map.any(blocks.block, blocks.count, masks.missing)
    const range = { offset: filled.offset, length: filled.data?.length ?? part.length }
    try {
      await recorder.write(range, filled.data)
    } catch (error) {
      if (missing) states.spoil()
      throw error
    }
    this.#written(position, untouched)
  }

  #written(position: number, untouched: boolean): void {
    const { states, demand } = this.#parts
    states.refresh(position)
    demand.wake(position, false)
    if (untouched && states.needs(position)) this.#wantAside(position)
  }

  /** What a write into the blocks has to wait for; a chunk that is recorded meanwhile has to be touched. */
  #notYet(position: number, blocks: BlockRun): Promise<void> | undefined {
    const { states, recorder } = this.#parts
    const isOver = states.map.any(blocks.block, blocks.count, masks.pristine)
    const touched =
      isOver && !recorder.isUnrecorded(position) ? recorder.touch(position) : undefined
    return touched ?? recorder.whenFree(blocks)
  }

  async #writeMissing(offset: number, data: Uint8Array): Promise<void> {
    try {
      await this.#parts.target.write(offset, data)
    } catch (error) {
      this.#parts.states.spoil()
      throw error
    }
  }

  /** The data of a write, with zeros around it where it begins or ends inside a zero block. */
  #filledUp(
    part: ChunkPart,
    data: Uint8Array | undefined
  ): { offset: number; data: Uint8Array | undefined } {
    if (data === undefined) return { offset: part.offset, data }
    const blocks = this.#missingEdges(part).map(block =>
      bytesOf({ block, count: 1 }, this.#parts.states.image.size)
    )
    if (blocks.length === 0) return { offset: part.offset, data }
    const start = Math.min(part.offset, ...blocks.map(({ offset }) => offset))
    const end = Math.max(
      part.offset + part.length,
      ...blocks.map(({ offset, length }) => offset + length)
    )
    const filled = Buffer.alloc(end - start)
    filled.set(data, part.offset - start)
    return { offset: start, data: filled }
  }

  #missingEdges(range: ByteRange): number[] {
    const { map, image } = this.#parts.states
    return edgesOf(range, image.size).filter(block => map.stateOf(block) === blockStates.missing)
  }

  #mustBeAlone(part: ChunkPart): boolean {
    return this.#parts.states.owesAside(part.position) || this.#missingEdges(part).length > 0
  }

  /** The chunk's bytes are in memory when it resolves; its frame comes into the area behind that. */
  async #takeAside(position: number): Promise<void> {
    const { states, target, encodeFrame } = this.#parts
    if (states.aside.full) return this.#giveUp(position)
    const length = states.lengthOf(position)
    const plain = await target.read(position * states.image.chunkSize, length)
    await states.aside.crowded
    const onRefused = (): void => this.#giveUp(position)
    states.aside.bring(position, { plain, encodeFrame, onRefused })
  }

  async #putAside(position: number, frame: Frame): Promise<void> {
    if (!(await this.#parts.states.aside.put(position, frame))) this.#giveUp(position)
  }

  #wantAside(position: number): void {
    if (this.#parts.states.aside.full) this.#giveUp(position)
    else this.#parts.onNeed(position, 'aside')
  }

  /** Nobody waits for the record: without it the chunk is asked for once more after a crash. */
  #giveUp(position: number): void {
    const { states, metadata, logger } = this.#parts
    if (!states.givenUp.set(position, true)) return
    states.refresh(position)
    logger.debug('no room to put a pristine chunk aside: it is not served any more', {
      position,
      givenUp: states.givenUp.count
    })
    this.#parts.onGivenUp(states.givenUp.count)
    // If this fails, so does the next flush.
    metadata.append([{ kind: 'given-up', position }]).catch(() => {})
  }
}
