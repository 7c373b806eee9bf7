import { getSystemErrorName } from 'node:util'
import { Worker } from 'node:worker_threads'
import { BootswarmError, copyToShared } from '../base/index.ts'
import { sharedAligned } from './aligned-memory.ts'

/** A power of two, so that it divides the range that counts go round in. */
const slots = 64
/** A larger write costs more to copy than a thread costs to wake. */
const slotBytes = 16 * 1024
/** The thread begins with so many jobs before the turn in which they are asked for is over. */
const wokenAfter = 8
/** In place of a length: not a write, the file is to be synced. */
const sync = -1

/** What both sides see. Job n has the n-th place in each, modulo their length. */
export interface WriteRing {
  /** How many jobs were asked for, how many are done, and up to which one somebody waits; 32 bits, going round. */
  readonly counts: Int32Array<SharedArrayBuffer>
  readonly files: Int32Array<SharedArrayBuffer>
  readonly offsets: Float64Array<SharedArrayBuffer>
  readonly lengths: Int32Array<SharedArrayBuffer>
  /** 0 for a job that was done, else the system's error number, negative. */
  readonly failures: Int32Array<SharedArrayBuffer>
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/** Told of a job that it was done, or why it was not. */
export type Written = (error?: Error) => void

/**
 * Writes small pieces to files and devices, and syncs them, one after the other, in a thread of its own that
 * is woken for the first of many and goes on while there are more. A thread of libuv's pool is woken for
 * each, which costs several times the write (docs/bench-nbd.md). It begins when it is needed, and keeps the
 * process alive only while somebody waits for it.
 */
export class WriteThread {
  readonly #ring: WriteRing = newRing()
  #worker: Worker | undefined
  /** By slot: who is to be told. */
  readonly #told: (Written | undefined)[] = []
  #asked = 0
  #settled = 0
  /** Jobs of this turn of the event loop; the thread is woken at its end, or for so many, once. */
  #unwoken = 0
  #isWaiting = false
  #isSyncing = false

  /**
   * Takes a copy of the data; calls when it is written, with an error that has the system's `code` if it
   * is not: soon if that `isAwaited`, else before anything that is asked for later is settled. False, and
   * nothing is called, if there is no room for it now. Memory is aligned as devices want it.
   */
  write(
    file: number,
    offset: number,
    data: Uint8Array,
    written: Written,
    isAwaited = true
  ): boolean {
    if (data.length > slotBytes || !this.#hasRoom()) return false
    const { offsets, bytes } = this.#ring
    const slot = slotOf(this.#asked)
    copyToShared(bytes, data, slot * slotBytes)
    offsets[slot] = offset
    this.#ask(file, data.length, written)
    if (isAwaited) this.#await()
    return true
  }

  /**
   * Resolves when all of a file that was written, or asked to be, before the call is on stable storage. Undefined
   * where that has to be done elsewhere: one sync at a time is done here, and nothing else meanwhile.
   */
  sync(file: number): Promise<void> | undefined {
    if (this.#isSyncing || !this.#hasRoom()) return undefined
    this.#isSyncing = true
    const { promise, told } = promised()
    this.#ask(file, sync, error => {
      this.#isSyncing = false
      told(error)
    })
    this.#await()
    return promise
  }

  /** As `write`, but waits for room. Undefined, where all of that has to be done elsewhere: it is too large. */
  writeSoon(file: number, offset: number, data: Uint8Array): Promise<void> | undefined {
    if (data.length > slotBytes) return undefined
    const { promise, told } = promised()
    if (this.write(file, offset, data, told)) return promise
    return this.#roomAgain().then(() => this.writeSoon(file, offset, data))
  }

  /** Settles when nothing of a range of a file is under way; undefined if nothing is now. */
  whenWritten(file: number, offset: number, length: number): Promise<void> | undefined {
    const last = this.#lastOf(file, offset, offset + length)
    return last === undefined ? undefined : this.#whenDone(last)
  }

  /** Not one place, but half of them: who waits is woken for many. */
  #roomAgain(): Promise<void> {
    return this.#whenDone((this.#settled + slots / 2) | 0)
  }

  #whenDone(job: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const slot = slotOf(job)
    const told = this.#told[slot]
    this.#told[slot] = error => {
      told?.(error)
      resolve()
    }
    this.#await()
    return promise
  }

  #lastOf(file: number, start: number, end: number): number | undefined {
    if (this.#settled === this.#asked) return undefined
    this.#settle()
    const { files, offsets, lengths } = this.#ring
    for (let job = this.#asked; job !== this.#settled;) {
      job = (job - 1) | 0
      const slot = slotOf(job)
      const [offset = 0, length = 0] = [offsets[slot], lengths[slot]]
      if (files[slot] !== file || length === sync) continue
      if (offset < end && start < offset + length) return job
    }
    return undefined
  }

  #hasRoom(): boolean {
    if (((this.#asked - this.#settled) | 0) < slots) return true
    this.#settle()
    return ((this.#asked - this.#settled) | 0) < slots
  }

  #ask(file: number, length: number, told: Written): void {
    this.#worker ??= this.#start()
    const { counts, files, lengths } = this.#ring
    const slot = slotOf(this.#asked)
    files[slot] = file
    lengths[slot] = length
    this.#told[slot] = told
    this.#asked = (this.#asked + 1) | 0
    Atomics.store(counts, 0, this.#asked)
    // While it has something to do it is awake, and looks whether there is more when it is done with it.
    this.#unwoken++
    if (this.#unwoken === 1) process.nextTick(this.#wake)
    else if (this.#unwoken === wokenAfter) Atomics.notify(counts, 0)
  }

  readonly #wake = (): void => {
    this.#unwoken = 0
    Atomics.notify(this.#ring.counts, 0)
  }

  /** All that was asked for so far is settled as soon as it is done. */
  #await(): void {
    Atomics.store(this.#ring.counts, 2, this.#asked)
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#worker?.ref()
    process.nextTick(() => this.#wait())
  }

  #wait(): void {
    const { counts } = this.#ring
    for (;;) {
      const done = this.#settle()
      if (((Atomics.load(counts, 2) - this.#settled) | 0) <= 0) {
        this.#isWaiting = false
        this.#worker?.unref()
        return
      }
      const more = Atomics.waitAsync(counts, 1, done)
      if (!more.async) continue
      void more.value.then(() => this.#wait())
      return
    }
  }

  /** Tells of what is done; returns how many jobs are. */
  #settle(): number {
    const { counts, failures } = this.#ring
    const done = Atomics.load(counts, 1)
    while (((done - this.#settled) | 0) > 0) {
      const slot = slotOf(this.#settled)
      const told = this.#told[slot]
      const failure = failures[slot] ?? 0
      this.#told[slot] = undefined
      this.#settled = (this.#settled + 1) | 0
      told?.(failure === 0 ? undefined : errorOf(failure))
    }
    return done
  }

  #start(): Worker {
    const worker = new Worker(new URL('./write-worker.js', import.meta.url), {
      workerData: { ring: this.#ring, done: this.#asked }
    })
    worker.unref()
    worker.on('error', cause => {
      this.#worker = undefined
      this.#fail(new BootswarmError('ERR_INTERNAL', `the writing thread: ${cause}`, { cause }))
    })
    return worker
  }

  /** What was asked of a thread that has ended is not known to be written; the next one goes on. */
  #fail(error: BootswarmError): void {
    const { counts } = this.#ring
    // What it would have said is said here, and not once more.
    for (const [slot, told] of this.#told.entries()) {
      this.#told[slot] = undefined
      told?.(error)
    }
    Atomics.store(counts, 1, this.#asked)
    Atomics.notify(counts, 1)
  }
}

/** One for the process: there is one target in it, and its side files. */
export const writeThread = new WriteThread()

function promised(): { readonly promise: Promise<void>; readonly told: Written } {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { promise, told: error => (error === undefined ? resolve() : reject(error)) }
}

function slotOf(job: number): number {
  return (job >>> 0) % slots
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
    counts: integers(3),
    files: integers(slots),
    offsets: new Float64Array(new SharedArrayBuffer(8 * slots)),
    lengths: integers(slots),
    failures: integers(slots),
    bytes: new Uint8Array(sharedAligned(slots * slotBytes))
  }
}
