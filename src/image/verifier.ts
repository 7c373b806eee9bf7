import { BootswarmError, limits, type ChunkId, type Frame } from '../base/index.ts'
import { VerifyThread } from './verify-thread.ts'

/** A frame that is coming in, in memory that goes back to the pool with `release`. */
export interface IncomingFrame {
  /** `bytes` is to be filled. Valid until released, as is what `verify` resolves to. */
  readonly frame: Frame
  readonly memory: SharedArrayBuffer
  readonly plainOffset: number
}

/** Smaller memory is not worth telling apart. */
const capacityMin = 64 * 1024

/**
 * Decodes and hashes frames in a thread of its own, in pooled memory. On the main thread this was the
 * largest piece of work; as calls to libuv's threads it left a buffer of garbage for every frame and
 * every chunk, and half of an agent's processor time went into collecting them.
 */
export class Verifier {
  #thread: VerifyThread | undefined
  /** Memory that nobody uses, by how much it holds on each side. */
  #free = new Map<number, SharedArrayBuffer[]>()
  #freeBytes = 0
  /** Memory is shared with the thread once: to name it again costs less than to hand it over again. */
  #shared = new Map<SharedArrayBuffer, number>()
  #nextMemory = 1

  /** The thread takes a while to begin: whoever says it early has not to wait for it with the first frame. */
  start(): void {
    this.#running()
  }

  /** `frameLength` and `plainLength` have been checked by the caller. */
  begin(encoding: Frame['encoding'], frameLength: number, plainLength: number): IncomingFrame {
    const needed = Math.max(frameLength, plainLength, capacityMin)
    const capacity = 2 ** Math.ceil(Math.log2(needed))
    const memory = this.#take(capacity)
    const frame = { encoding, plainLength, bytes: Buffer.from(memory, 0, frameLength) }
    return { frame, memory, plainOffset: capacity }
  }

  /** The plain bytes, which hash to `id`; ERR_CHUNK_CORRUPT. */
  async verify(id: ChunkId, incoming: IncomingFrame): Promise<Uint8Array> {
    const { encoding, plainLength, bytes } = incoming.frame
    const thread = this.#running()
    const { isIntact, failure } = await thread.run({
      id,
      memory: this.#numberOf(incoming.memory, thread),
      isPlain: encoding === 'plain',
      frameLength: bytes.length,
      plainLength,
      plainOffset: incoming.plainOffset
    })
    if (!isIntact) throw corrupt(id, failure ?? 'its bytes hash to something else')
    return plainOf(incoming)
  }

  release({ memory }: IncomingFrame): void {
    const capacity = memory.byteLength / 2
    if (this.#freeBytes + memory.byteLength > limits.verifierFreeBytesMax) {
      this.#forget(memory)
      return
    }
    this.#freeBytes += memory.byteLength
    const free = this.#free.get(capacity)
    if (free === undefined) this.#free.set(capacity, [memory])
    else free.push(memory)
  }

  async close(): Promise<void> {
    await this.#thread?.close()
  }

  #take(capacity: number): SharedArrayBuffer {
    const memory = this.#free.get(capacity)?.pop()
    if (memory === undefined) return new SharedArrayBuffer(2 * capacity)
    this.#freeBytes -= memory.byteLength
    return memory
  }

  #numberOf(memory: SharedArrayBuffer, thread: VerifyThread): number {
    const known = this.#shared.get(memory)
    if (known !== undefined) return known
    const number = this.#nextMemory++
    this.#shared.set(memory, number)
    thread.tell({ memory: number, shared: memory })
    return number
  }

  #forget(memory: SharedArrayBuffer): void {
    const number = this.#shared.get(memory)
    if (number === undefined) return
    this.#shared.delete(memory)
    this.#thread?.tell({ forget: number })
  }

  #running(): VerifyThread {
    this.#thread ??= new VerifyThread(() => {
      this.#shared.clear()
      this.#thread = undefined
    })
    return this.#thread
  }
}

function plainOf({ frame, memory, plainOffset }: IncomingFrame): Uint8Array {
  if (frame.encoding === 'plain') return frame.bytes
  return Buffer.from(memory, plainOffset, frame.plainLength)
}

function corrupt(id: ChunkId, why: string): BootswarmError {
  return new BootswarmError('ERR_CHUNK_CORRUPT', `a frame is not chunk ${id}: ${why}`)
}
