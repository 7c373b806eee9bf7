import { getSystemErrorName } from 'node:util'
import { Worker } from 'node:worker_threads'
import { BootswarmError } from '../base/index.ts'

/** What a batch has room for. */
const batchBytes = 256 * 1024
const batchWrites = 64
/** A larger write costs more to copy than a thread costs to wake. */
const writeBytesMax = 32 * 1024

/** Of one batch, what both sides see: write n has the n-th of each, and its bytes lie behind the others'. */
export interface SharedBatch {
  readonly count: Int32Array<SharedArrayBuffer>
  readonly files: Int32Array<SharedArrayBuffer>
  readonly offsets: Float64Array<SharedArrayBuffer>
  readonly lengths: Int32Array<SharedArrayBuffer>
  /** 0 for a write that was done, else the system's error number, negative. */
  readonly failures: Int32Array<SharedArrayBuffer>
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

export interface SharedMemory {
  /** The number of the batch that was asked for last, and of that which was done last. */
  readonly numbers: Int32Array<SharedArrayBuffer>
  /** Those with even numbers, those with odd ones: one is filled while the other is carried out. */
  readonly batches: readonly [SharedBatch, SharedBatch]
}

interface Batch {
  readonly shared: SharedBatch
  readonly waiting: PromiseWithResolvers<void>[]
  usedBytes: number
}

/**
 * Writes small pieces to files that are in the page cache, in a thread of its own: all that came while
 * it was at work it does at once. A thread of libuv's pool is woken for each write, which costs several
 * times the write (docs/bench-nbd.md). The thread begins when it is needed, and keeps no process alive.
 */
export class WriteThread {
  readonly #memory: SharedMemory
  readonly #batches: readonly [Batch, Batch]
  #worker: Worker | undefined
  /** Of the batch that was asked for last. */
  #number = 0
  #busy = false

  constructor() {
    this.#memory = {
      numbers: new Int32Array(new SharedArrayBuffer(8)),
      batches: [sharedBatch(), sharedBatch()]
    }
    const [even, odd] = this.#memory.batches
    this.#batches = [newBatch(even), newBatch(odd)]
  }

  /**
   * Takes a copy of the data; resolves when it is written, rejects with an error that has the system's
   * `code`. Undefined if there is no room for it now.
   */
  write(file: number, offset: number, data: Uint8Array): Promise<void> | undefined {
    const { shared, waiting, usedBytes } = this.#filling
    const index = waiting.length
    const isTooMuch = data.length > writeBytesMax || usedBytes + data.length > batchBytes
    if (isTooMuch || index === batchWrites) return undefined
    shared.bytes.set(data, usedBytes)
    shared.files[index] = file
    shared.offsets[index] = offset
    shared.lengths[index] = data.length
    const done = Promise.withResolvers<void>()
    waiting.push(done)
    this.#filling.usedBytes += data.length
    // What else comes in this turn goes with it.
    if (index === 0 && !this.#busy) process.nextTick(() => this.#start())
    return done.promise
  }

  get #filling(): Batch {
    return this.#batches[this.#number % 2 === 0 ? 1 : 0]
  }

  #start(): void {
    if (this.#busy) return
    const batch = this.#filling
    if (batch.waiting.length === 0) {
      this.#worker?.unref()
      return
    }
    this.#busy = true
    batch.shared.count[0] = batch.waiting.length
    const worker = this.#running()
    worker.ref()
    const { numbers } = this.#memory
    const before = this.#number
    this.#number = (before + 1) | 0
    Atomics.store(numbers, 0, this.#number)
    Atomics.notify(numbers, 0)
    const done = Atomics.waitAsync(numbers, 1, before)
    if (done.async) void done.value.then(() => this.#finish(batch))
    else this.#finish(batch)
  }

  #finish(batch: Batch): void {
    const { failures } = batch.shared
    for (const [index, { resolve, reject }] of batch.waiting.entries()) {
      const failure = failures[index] ?? 0
      if (failure === 0) resolve()
      else reject(Object.assign(new Error('write failed'), { code: getSystemErrorName(failure) }))
    }
    batch.waiting.length = 0
    batch.usedBytes = 0
    this.#busy = false
    this.#start()
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./write-worker.js', import.meta.url), {
      workerData: { memory: this.#memory, done: this.#number }
    })
    worker.on('error', cause => {
      this.#worker = undefined
      this.#fail(new BootswarmError('ERR_INTERNAL', `the writing thread: ${cause}`, { cause }))
    })
    return (this.#worker = worker)
  }

  /** What was asked of a thread that has ended is not known to be written; the next one goes on. */
  #fail(error: BootswarmError): void {
    const { numbers } = this.#memory
    for (const { reject } of this.#batches[this.#number % 2 === 0 ? 0 : 1].waiting) reject(error)
    Atomics.store(numbers, 1, this.#number)
    Atomics.notify(numbers, 1)
  }
}

function newBatch(shared: SharedBatch): Batch {
  return { shared, waiting: [], usedBytes: 0 }
}

function sharedBatch(): SharedBatch {
  const integers = (): Int32Array<SharedArrayBuffer> =>
    new Int32Array(new SharedArrayBuffer(4 * batchWrites))
  return {
    count: new Int32Array(new SharedArrayBuffer(4)),
    files: integers(),
    offsets: new Float64Array(new SharedArrayBuffer(8 * batchWrites)),
    lengths: integers(),
    failures: integers(),
    bytes: new Uint8Array(new SharedArrayBuffer(batchBytes))
  }
}
