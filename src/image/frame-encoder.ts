import { Worker } from 'node:worker_threads'
import { BootswarmError, copyToShared, inSharedWords, limits, type Frame } from '../base/index.ts'
import { frameBytesMax } from './frames.ts'

export interface EncodeJob {
  readonly job: number
  readonly slot: number
  readonly plainLength: number
  /** A frame that would be longer is not worth it. */
  readonly frameLengthMax: number
}

export type EncodeMessage =
  EncodeJob | { readonly slot: number; readonly shared: SharedArrayBuffer }

export interface EncodeAnswer {
  readonly job: number
  /** 0 when it does not get short enough. */
  readonly frameLength: number
  readonly failure?: string
}

/** Memory that both sides see: the plain bytes in its first half, the frame in its second. */
interface Slot {
  readonly number: number
  shared: SharedArrayBuffer
  /** The thread that has been shown it. */
  knownTo: Worker | undefined
}

/**
 * Compresses chunks that somebody waits for, in a thread of its own, with one encoder and memory that
 * is used again: as calls to libuv's threads each made an encoder of a megabyte and a buffer, all of it
 * garbage at once, and took up to twice the processor time (docs/bench-wire.md). It begins when it is needed.
 */
export class FrameEncoder {
  #worker: Worker | undefined
  readonly #pending = new Map<number, PromiseWithResolvers<EncodeAnswer>>()
  #next = 1
  readonly #free: Slot[] = []
  #slots = 0
  readonly #waiting: ((slot: Slot) => void)[] = []

  /** `take` is given the frame in memory that is used again afterwards. */
  async encode<T>(plain: Uint8Array, take: (frame: Frame) => T): Promise<T> {
    const slot = await this.#slot()
    try {
      const capacity = this.#fill(slot, plain)
      const { frameLength, failure } = await this.#run(slot, plain.length)
      if (failure !== undefined) throw new BootswarmError('ERR_INTERNAL', failure)
      const isShorter = frameLength > 0
      return take({
        encoding: isShorter ? 'zstd' : 'plain',
        plainLength: plain.length,
        bytes: Buffer.from(
          slot.shared,
          isShorter ? capacity : 0,
          isShorter ? frameLength : plain.length
        )
      })
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free.push(slot)
      else next(slot)
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  /** Nobody holds one for long: so many are compressed at once, and the rest wait. */
  #slot(): Slot | Promise<Slot> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#slots === limits.encodesParallel) {
      return new Promise(resolve => this.#waiting.push(resolve))
    }
    return { number: this.#slots++, shared: new SharedArrayBuffer(0), knownTo: undefined }
  }

  /** How much the slot holds on each side. */
  #fill(slot: Slot, plain: Uint8Array): number {
    const worker = this.#running()
    const sideBytes = frameBytesBound(plain.length)
    const isTooSmall = slot.shared.byteLength < 2 * sideBytes
    if (isTooSmall) slot.shared = new SharedArrayBuffer(2 * sideBytes)
    if (isTooSmall || slot.knownTo !== worker) {
      slot.knownTo = worker
      const { number, shared } = slot
      worker.postMessage({ slot: number, shared } satisfies EncodeMessage)
    }
    copyToShared(new Uint8Array(slot.shared), plain, 0)
    return slot.shared.byteLength / 2
  }

  #run(slot: Slot, plainLength: number): Promise<EncodeAnswer> {
    const job = this.#next++
    const answer = Promise.withResolvers<EncodeAnswer>()
    this.#pending.set(job, answer)
    const worker = this.#running()
    // Only what it is asked for keeps the process alive.
    worker.ref()
    const frameLengthMax = frameBytesMax(plainLength)
    worker.postMessage({
      job,
      slot: slot.number,
      plainLength,
      frameLengthMax
    } satisfies EncodeMessage)
    return answer.promise
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./encode-worker.js', import.meta.url))
    worker.on('message', (answer: EncodeAnswer) => {
      this.#pending.get(answer.job)?.resolve(answer)
      this.#pending.delete(answer.job)
      if (this.#pending.size === 0) worker.unref()
    })
    worker.on('error', cause => {
      const error = new BootswarmError('ERR_INTERNAL', `the encoding thread: ${cause}`, { cause })
      for (const { reject } of this.#pending.values()) reject(error)
      this.#pending.clear()
      this.#worker = undefined
    })
    this.#worker = worker
    return worker
  }
}

/**
 * More than zstd makes of any so many bytes (ZSTD_COMPRESSBOUND in zstd.h), in whole words: a frame that is cut
 * off would leave something behind in the encoder.
 */
function frameBytesBound(plainLength: number): number {
  return inSharedWords(plainLength + (plainLength >> 8) + 128)
}
