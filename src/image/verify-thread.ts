import { Worker } from 'node:worker_threads'
import { BootswarmError, type ChunkId } from '../base/index.ts'
import { decodingParams } from './frames.ts'

/** Where what lies in memory that both sides see; both sides are given it. */
const verifyLayout = {
  /** Of all slots, in 32-bit words: counters first, each moved by one side only but the last. */
  wakes: 0,
  posted: 1,
  done: 2,
  /** 1 while the main thread has been called and has not looked yet. */
  called: 3,
  firstSlot: 16,
  slots: 256,
  slotWords: 64,
  /** Of a slot: what to verify, then how it went. */
  memory: 0,
  isPlain: 1,
  frameLength: 2,
  plainLength: 3,
  plainOffset: 4,
  outcome: 5,
  failureBytes: 6,
  digest: 8,
  failure: 16,
  failureBytesMax: 192
} as const

const outcomes = { matches: 1, differs: 2, failed: 3 } as const

export interface VerifyWorkerData {
  readonly params: typeof decodingParams
  readonly ring: SharedArrayBuffer
  readonly layout: typeof verifyLayout
  readonly outcomes: typeof outcomes
}

export type VerifyMessage =
  { readonly memory: number; readonly shared: SharedArrayBuffer } | { readonly forget: number }

export interface VerifyJob {
  readonly id: ChunkId
  /** The number of the memory that it is in, which was shared before. */
  readonly memory: number
  readonly isPlain: boolean
  readonly frameLength: number
  readonly plainLength: number
  readonly plainOffset: number
}

export interface VerifyOutcome {
  readonly isIntact: boolean
  /** Why it is not, where that is known. */
  readonly failure: string | undefined
}

type Settle = PromiseWithResolvers<VerifyOutcome>

const digestBytes = 32
const wordBytes = 4

/**
 * The thread that decodes and hashes. What it shall do stands in a ring of memory that both sides see, and it
 * waits there: as messages each job and each answer was an object to write, to read and to collect, and
 * a thread that sleeps is costly to wake. Messages are for what is rare.
 */
export class VerifyThread {
  readonly #worker: Worker
  readonly #ring = new SharedArrayBuffer(
    wordBytes * (verifyLayout.firstSlot + verifyLayout.slots * verifyLayout.slotWords)
  )
  readonly #words = new Int32Array(this.#ring)
  readonly #bytes = Buffer.from(this.#ring)
  /** By slot. */
  readonly #pending: (Settle | undefined)[] = []
  /** Jobs that found no slot free. */
  readonly #waiting: [VerifyJob, Settle][] = []
  #posted = 0
  #settled = 0
  #isWakeDue = false

  /** `onEnd` is called when the thread has failed; its jobs are rejected then. */
  constructor(onEnd: () => void) {
    const workerData: VerifyWorkerData = {
      params: decodingParams,
      ring: this.#ring,
      layout: verifyLayout,
      outcomes
    }
    this.#worker = new Worker(new URL('./verify-worker.js', import.meta.url), { workerData })
    this.#worker.on('message', () => this.#look())
    this.#worker.on('error', cause => {
      onEnd()
      const error = new BootswarmError('ERR_INTERNAL', `the verifying thread: ${cause}`, { cause })
      for (const settle of this.#pending) settle?.reject(error)
      for (const [, { reject }] of this.#waiting) reject(error)
    })
    this.#worker.unref()
  }

  tell(message: VerifyMessage): void {
    this.#worker.postMessage(message)
    this.#wake()
  }

  run(job: VerifyJob): Promise<VerifyOutcome> {
    const settle = Promise.withResolvers<VerifyOutcome>()
    // Only what it is asked for keeps the process alive.
    if (this.#posted === this.#settled) this.#worker.ref()
    if (this.#posted - this.#settled < verifyLayout.slots) this.#post(job, settle)
    else this.#waiting.push([job, settle])
    return settle.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #post(job: VerifyJob, settle: Settle): void {
    const slot = this.#posted % verifyLayout.slots
    const at = firstWordOf(slot)
    this.#pending[slot] = settle
    this.#words[at + verifyLayout.memory] = job.memory
    this.#words[at + verifyLayout.isPlain] = Number(job.isPlain)
    this.#words[at + verifyLayout.frameLength] = job.frameLength
    this.#words[at + verifyLayout.plainLength] = job.plainLength
    this.#words[at + verifyLayout.plainOffset] = job.plainOffset
    this.#bytes.write(job.id, wordBytes * (at + verifyLayout.digest), digestBytes, 'hex')
    this.#posted += 1
    Atomics.store(this.#words, verifyLayout.posted, this.#posted | 0)
    this.#wake()
  }

  /** At the end of the turn, once: a thread that sleeps is costly to wake, and frames come several at a time. */
  #wake(): void {
    if (this.#isWakeDue) return
    this.#isWakeDue = true
    setImmediate(this.#wakeNow)
  }

  readonly #wakeNow = (): void => {
    this.#isWakeDue = false
    Atomics.add(this.#words, verifyLayout.wakes, 1)
    Atomics.notify(this.#words, verifyLayout.wakes, 1)
  }

  /** At all that has been done since the last look: the thread calls once for what it does meanwhile. */
  #look(): void {
    Atomics.store(this.#words, verifyLayout.called, 0)
    const done = Atomics.load(this.#words, verifyLayout.done)
    while ((this.#settled | 0) !== done) {
      const slot = this.#settled % verifyLayout.slots
      const settle = this.#pending[slot]
      this.#pending[slot] = undefined
      const outcome = this.#outcomeOf(slot)
      this.#settled += 1
      settle?.resolve(outcome)
      const next = this.#waiting.shift()
      if (next !== undefined) this.#post(...next)
    }
    if (this.#posted === this.#settled) this.#worker.unref()
  }

  #outcomeOf(slot: number): VerifyOutcome {
    const at = firstWordOf(slot)
    const outcome = this.#words[at + verifyLayout.outcome]
    if (outcome !== outcomes.failed) {
      return { isIntact: outcome === outcomes.matches, failure: undefined }
    }
    const from = wordBytes * (at + verifyLayout.failure)
    const length = this.#words[at + verifyLayout.failureBytes] ?? 0
    return { isIntact: false, failure: this.#bytes.toString('utf8', from, from + length) }
  }
}

function firstWordOf(slot: number): number {
  return verifyLayout.firstSlot + slot * verifyLayout.slotWords
}
