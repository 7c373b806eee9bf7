import { getSystemErrorName } from 'node:util'
import { Worker } from 'node:worker_threads'
import { BootswarmError, copyToShared } from '../base/index.ts'

/** A power of two, so that it divides the range that counts go round in. */
const slots = 64
/** A larger write costs more to copy than a thread costs to wake. */
const slotBytes = 16 * 1024

/** What both sides see. Write n has the n-th place in each, modulo their length. */
export interface WriteRing {
  /** How many writes were asked for, and how many are done; 32 bits, going round. */
  readonly counts: Int32Array<SharedArrayBuffer>
  readonly files: Int32Array<SharedArrayBuffer>
  readonly offsets: Float64Array<SharedArrayBuffer>
  readonly lengths: Int32Array<SharedArrayBuffer>
  /** 0 for a write that was done, else the system's error number, negative. */
  readonly failures: Int32Array<SharedArrayBuffer>
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/** Told of a write that it was done, or why it was not. */
export type Written = (error?: Error) => void

/**
 * Writes small pieces to files that are in the page cache, in a thread of its own that is woken for the
 * first of many and goes on while there are more. A thread of libuv's pool is woken for each write, which
 * costs several times the write (docs/bench-nbd.md). It begins when it is needed, and keeps the process
 * alive only while it has something to do.
 */
export class WriteThread {
  readonly #ring: WriteRing = newRing()
  #worker: Worker | undefined
  /** The oldest first. */
  readonly #waiting: Written[] = []
  #asked = 0
  #settled = 0
  /** The thread is told at the end of the turn. */
  #tells = false

  /**
   * Takes a copy of the data; calls when it is written, with an error that has the system's `code` if it
   * is not. False, and nothing is called, if there is no room for it now.
   */
  write(file: number, offset: number, data: Uint8Array, written: Written): boolean {
    if (data.length > slotBytes || this.#waiting.length === slots) return false
    const { counts, files, offsets, lengths, bytes } = this.#ring
    const slot = (this.#asked >>> 0) % slots
    copyToShared(bytes, data, slot * slotBytes)
    files[slot] = file
    offsets[slot] = offset
    lengths[slot] = data.length
    this.#waiting.push(written)
    if (this.#waiting.length === 1) this.#begin()
    this.#asked = (this.#asked + 1) | 0
    // A thread that is awake sees it without being told.
    Atomics.store(counts, 0, this.#asked)
    if (!this.#tells) {
      this.#tells = true
      process.nextTick(() => {
        this.#tells = false
        Atomics.notify(counts, 0)
      })
    }
    return true
  }

  #begin(): void {
    this.#running().ref()
    process.nextTick(() => this.#await())
  }

  /** Settles what is done, and waits for the rest. */
  #await(): void {
    const { counts } = this.#ring
    for (;;) {
      const done = Atomics.load(counts, 1)
      this.#settle(done)
      if (this.#waiting.length === 0) {
        this.#worker?.unref()
        return
      }
      const more = Atomics.waitAsync(counts, 1, done)
      if (!more.async) continue
      void more.value.then(() => this.#await())
      return
    }
  }

  #settle(done: number): void {
    for (; this.#settled !== done; this.#settled = (this.#settled + 1) | 0) {
      const failure = this.#ring.failures[(this.#settled >>> 0) % slots] ?? 0
      this.#waiting.shift()?.(failure === 0 ? undefined : errorOf(failure))
    }
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./write-worker.js', import.meta.url), {
      workerData: { ring: this.#ring, done: this.#asked }
    })
    worker.on('error', cause => {
      this.#worker = undefined
      this.#fail(
        new BootswarmError('ERR_INTERNAL', `the writing thread: ${cause}`, {
          cause
        })
      )
    })
    return (this.#worker = worker)
  }

  /** What was asked of a thread that has ended is not known to be written; the next one goes on. */
  #fail(error: BootswarmError): void {
    const { counts } = this.#ring
    // What it would have said is said here, and not once more.
    for (const [index, written] of this.#waiting.entries()) {
      this.#waiting[index] = () => {}
      written(error)
    }
    Atomics.store(counts, 1, this.#asked)
    Atomics.notify(counts, 1)
  }
}

function errorOf(failure: number): Error {
  return Object.assign(new Error('write failed'), {
    code: getSystemErrorName(failure)
  })
}

function newRing(): WriteRing {
  const integers = (length: number): Int32Array<SharedArrayBuffer> =>
    new Int32Array(new SharedArrayBuffer(4 * length))
  return {
    counts: integers(2),
    files: integers(slots),
    offsets: new Float64Array(new SharedArrayBuffer(8 * slots)),
    lengths: integers(slots),
    failures: integers(slots),
    bytes: new Uint8Array(new SharedArrayBuffer(slots * slotBytes))
  }
}
