import { partsOf, type ByteRange, type ChunkPart } from '../base/index.ts'
import type { MachineIo } from './background-pace.ts'
import { blocksOf, bytesOf, wholeBlocks } from './block-ranges.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkWriter } from './chunk-writer.ts'
import { FlushAhead } from './flush-ahead.ts'
import { masks } from './presence-map.ts'
import type { Recorder } from './recorder.ts'
import type { Storage } from './storage.ts'

export interface MachineWritesParts {
  readonly states: ChunkStates
  readonly recorder: Recorder
  readonly writer: ChunkWriter
  readonly target: Storage
  readonly io: MachineIo
}

/** What the machine changes: any range, cut into what is its own already and what is not. */
export class MachineWrites {
  readonly #parts: MachineWritesParts
  readonly #flushes: FlushAhead

  constructor(parts: MachineWritesParts) {
    this.#parts = parts
    this.#flushes = new FlushAhead(() => parts.recorder.flush())
  }

  write(range: ByteRange, data: Uint8Array): Promise<void> {
    const { recorder } = this.#parts
    const wait = recorder.whenFree(blocksOf(range))
    return wait === undefined ? this.#writeFree(range, data) : this.#writeLater(wait, range, data)
  }

  /** Only what is the machine's own already and may change at any time, or holds nothing of the image yet. */
  writeNow(range: ByteRange, data: Uint8Array): boolean {
    const { recorder, target, io } = this.#parts
    const isTaken = recorder.isSettled(blocksOf(range))
      ? target.writeNow?.(range.offset, data)
      : this.#writeFirst(range, data)
    if (isTaken !== true) return false
    io.touched()
    this.done()
    return true
  }

  /** Something that was not for `writeNow` is done, and about to be answered. */
  done(): void {
    this.#flushes.written()
  }

  /** What is done is on stable storage, and recorded, when it resolves. */
  flush(): Promise<void> {
    return this.#flushes.flush()
  }

  #writeFirst(range: ByteRange, data: Uint8Array): boolean {
    const { states, writer } = this.#parts
    const { chunkSize } = states.image
    const position = Math.floor(range.offset / chunkSize)
    if (range.offset + range.length > (position + 1) * chunkSize) return false
    return writer.writeNow({ position, ...range }, data)
  }

  async #writeLater(wait: Promise<void>, range: ByteRange, data: Uint8Array): Promise<void> {
    await wait
    return this.write(range, data)
  }

  #writeFree(range: ByteRange, data: Uint8Array): Promise<void> {
    const { states, recorder, writer, io } = this.#parts
    const { block, count } = blocksOf(range)
    if (!states.map.any(block, count, masks.unwritten)) {
      return io.run(() => recorder.write(range, data))
    }
    return this.#eachPart(range, part => {
      const start = part.offset - range.offset
      return writer.write(part, data.subarray(start, start + part.length))
    })
  }

  async zero(range: ByteRange): Promise<void> {
    const { inner, edges } = wholeBlocks(range, this.#parts.states.image.size)
    for (const edge of edges) await this.write(edge, Buffer.alloc(edge.length))
    if (inner !== undefined) await this.#eachPart(inner, part => this.#zeroPart(part))
  }

  async trim(range: ByteRange): Promise<void> {
    const { states, recorder, target } = this.#parts
    const { inner } = wholeBlocks(range, states.image.size)
    if (inner === undefined) return
    for (const run of recorder.settledRuns(blocksOf(inner))) {
      const { offset, length } = bytesOf(run, states.image.size)
      await target.trim(offset, length)
    }
  }

  /** In a chunk of zeros only what the machine wrote has to be written, and stays its own. */
  async #zeroPart(part: ChunkPart): Promise<void> {
    const { states, writer } = this.#parts
    if (!states.isZeroStill(part.position)) return writer.write(part, undefined)
    const { block, count } = blocksOf(part)
    for (const run of states.map.runs(block, count, masks.written)) {
      const range = bytesOf(run, states.image.size)
      await writer.write({ position: part.position, ...range }, undefined)
    }
  }

  async #eachPart(range: ByteRange, job: (part: ChunkPart) => Promise<void>): Promise<void> {
    const parts = partsOf(range, this.#parts.states.image.chunkSize)
    const results = await Promise.allSettled(parts.map(job))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}
