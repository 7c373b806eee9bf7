import { Worker } from 'node:worker_threads'
import { BootswarmError, limits, type ChunkId, type Frame } from '../base/index.ts'
import { decodingParams } from './frames.ts'

export interface VerifyJob {
  readonly job: number
  /** The number of the memory that it is in, which was shared before. */
  readonly memory: number
  readonly isPlain: boolean
  readonly frameLength: number
  readonly plainLength: number
  readonly plainOffset: number
}

export type VerifyMessage =
  | VerifyJob
  | { readonly memory: number; readonly shared: SharedArrayBuffer }
  | { readonly forget: number }

export interface VerifyAnswer {
  readonly job: number
  /** What the plain bytes hash to; absent when they could not be had. */
  readonly id?: ChunkId
  readonly failure?: string
}

/** A frame that is coming in, in memory that goes back to the pool with `release`. */
export interface IncomingFrame {
  /** `bytes` is to be filled. Valid until released, as is what `verify` resolves to. */
  readonly frame: Frame
  readonly memory: SharedArrayBuffer
  readonly plainOffset: number
}

interface Pending {
  readonly id: ChunkId
  readonly incoming: IncomingFrame
  readonly resolve: (plain: Uint8Array) => void
  readonly reject: (error: Error) => void
}

/** Smaller memory is not worth telling apart. */
const capacityMin = 64 * 1024

/**
 * Decodes and hashes frames in a thread of its own, in pooled memory. On the main thread this was the
 * largest piece of work; as calls to libuv's threads it left a buffer of garbage for every frame and
 * every chunk, and half of an agent's processor time went into collecting them.
 */
export class Verifier {
  #worker: Worker | undefined
  #pending = new Map<number, Pending>()
  #next = 1
  /** Memory that nobody uses, by how much it holds on each side. */
  #free = new Map<number, SharedArrayBuffer[]>()
  #freeBytes = 0
  /** Memory is shared with the thread once: to name it again costs less than to hand it over again. */
  #shared = new Map<SharedArrayBuffer, number>()
  #nextMemory = 1

  /** `frameLength` and `plainLength` have been checked by the caller. */
  begin(encoding: Frame['encoding'], frameLength: number, plainLength: number): IncomingFrame {
    const needed = Math.max(frameLength, plainLength, capacityMin)
    const capacity = 2 ** Math.ceil(Math.log2(needed))
    const memory = this.#take(capacity)
    const frame = { encoding, plainLength, bytes: Buffer.from(memory, 0, frameLength) }
    return { frame, memory, plainOffset: capacity }
  }

  /** The plain bytes, which hash to `id`; ERR_CHUNK_CORRUPT. */
  verify(id: ChunkId, incoming: IncomingFrame): Promise<Uint8Array> {
    const { encoding, plainLength, bytes } = incoming.frame
    const { memory, plainOffset } = incoming
    const job = this.#next++
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#pending.set(job, { id, incoming, resolve, reject })
    const worker = this.#running()
    // Only what it is asked for keeps the process alive.
    worker.ref()
    worker.postMessage({
      job,
      memory: this.#numberOf(memory, worker),
      isPlain: encoding === 'plain',
      frameLength: bytes.length,
      plainLength,
      plainOffset
    } satisfies VerifyJob)
    return promise
  }

  release({ memory }: IncomingFrame): void {
    const capacity = memory.byteLength / 2
    if (this.#freeBytes + memory.byteLength > limits.verifierFreeBytesMax) {
      this.#forget(memory)
      return
    }
    this.#freeBytes += memory.byteLength
    this.#free.set(capacity, [...(this.#free.get(capacity) ?? []), memory])
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #take(capacity: number): SharedArrayBuffer {
    const memory = this.#free.get(capacity)?.pop()
    if (memory === undefined) return new SharedArrayBuffer(2 * capacity)
    this.#freeBytes -= memory.byteLength
    return memory
  }

  #numberOf(memory: SharedArrayBuffer, worker: Worker): number {
    const known = this.#shared.get(memory)
    if (known !== undefined) return known
    const number = this.#nextMemory++
    this.#shared.set(memory, number)
    worker.postMessage({ memory: number, shared: memory } satisfies VerifyMessage)
    return number
  }

  #forget(memory: SharedArrayBuffer): void {
    const number = this.#shared.get(memory)
    if (number === undefined) return
    this.#shared.delete(memory)
    this.#worker?.postMessage({ forget: number } satisfies VerifyMessage)
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./verify-worker.js', import.meta.url), {
      workerData: { params: decodingParams }
    })
    worker.on('message', (answer: VerifyAnswer) => this.#settle(answer))
    worker.on('error', cause => {
      const error = new BootswarmError('ERR_INTERNAL', `the verifying thread: ${cause}`, { cause })
      for (const { reject } of this.#pending.values()) reject(error)
      this.#pending.clear()
      this.#shared.clear()
      this.#worker = undefined
    })
    this.#worker = worker
    return worker
  }

  #settle({ job, id, failure }: VerifyAnswer): void {
    const pending = this.#pending.get(job)
    if (pending === undefined) return
    this.#pending.delete(job)
    if (this.#pending.size === 0) this.#worker?.unref()
    const { incoming, resolve, reject } = pending
    if (id === pending.id) resolve(plainOf(incoming))
    else reject(corrupt(pending.id, failure ?? 'its bytes hash to something else'))
  }
}

function plainOf({ frame, memory, plainOffset }: IncomingFrame): Uint8Array {
  if (frame.encoding === 'plain') return frame.bytes
  return Buffer.from(memory, plainOffset, frame.plainLength)
}

function corrupt(id: ChunkId, why: string): BootswarmError {
  return new BootswarmError('ERR_CHUNK_CORRUPT', `a frame is not chunk ${id}: ${why}`)
}
