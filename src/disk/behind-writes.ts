import fs from 'node:fs'
import { promisify } from 'node:util'
import { WriteThread } from './write-thread.ts'

const datasync = promisify(fs.fdatasync)

// One for the process: there is one device in it, or two.
const thread = new WriteThread()

interface Range {
  readonly start: number
  readonly end: number
}

interface OnItsWay extends Range {
  waiters: PromiseWithResolvers<void> | undefined
}

/** What the device did not take. */
interface Lost extends Range {
  readonly data: Uint8Array
  mending: Promise<void> | undefined
}

/**
 * Small writes to a device that count as done when they are copied, as in any disk's own cache: what is
 * asked of the device then, and the sync behind it, is done by one thread in a row, without ours. What
 * the device does not take is kept, and tried again before anybody reads it, writes over it or has it
 * synced: they get the error. Meanwhile nothing more is taken.
 */
export class BehindWrites {
  readonly #fd: number
  readonly #rewrite: (offset: number, data: Uint8Array) => Promise<void>
  readonly #onItsWay = new Set<OnItsWay>()
  readonly #lost = new Set<Lost>()
  #syncing = 0

  /** `rewrite` writes to the device itself, and says whether it could. */
  constructor(fd: number, rewrite: (offset: number, data: Uint8Array) => Promise<void>) {
    this.#fd = fd
    this.#rewrite = rewrite
  }

  /** Whole sectors, copied; false if they are to be written in another way. */
  take(offset: number, data: Uint8Array): boolean {
    const range = { start: offset, end: offset + data.length, waiters: undefined }
    // Behind a sync it would take longer than by another thread; two in one place have an order.
    if (this.#syncing > 0 || this.#lost.size > 0 || find(this.#onItsWay, range) !== undefined)
      return false
    const one: OnItsWay = range
    const isTaken = thread.write(this.#fd, offset, data, (error, bytes) => {
      this.#onItsWay.delete(one)
      if (error !== undefined && bytes !== undefined) {
        const { start, end } = one
        this.#lost.add({ start, end, data: Uint8Array.from(bytes), mending: undefined })
      }
      one.waiters?.resolve()
    })
    if (isTaken) this.#onItsWay.add(one)
    return isTaken
  }

  /** Undefined if what was taken of a range is on the device; else it rejects if that cannot be. */
  settled(start: number, end: number): Promise<void> | undefined {
    const range = { start, end }
    const isSettled =
      find(this.#onItsWay, range) === undefined && find(this.#lost, range) === undefined
    return isSettled ? undefined : this.#settle(range)
  }

  /** Makes durable what was taken, and whatever else was written; rejects with the system's error. */
  async sync(): Promise<void> {
    do {
      await this.#settleLost()
      await this.#syncInRow()
    } while (this.#lost.size > 0)
  }

  async #settle(range: Range): Promise<void> {
    for (let one = find(this.#onItsWay, range); one; one = find(this.#onItsWay, range)) {
      one.waiters ??= Promise.withResolvers<void>()
      await one.waiters.promise
    }
    for (let one = find(this.#lost, range); one; one = find(this.#lost, range)) {
      await this.#mend(one)
    }
  }

  async #settleLost(): Promise<void> {
    for (const lost of this.#lost) await this.#mend(lost)
  }

  #mend(lost: Lost): Promise<void> {
    lost.mending ??= this.#rewrite(lost.start, lost.data)
      .then(() => void this.#lost.delete(lost))
      .finally(() => (lost.mending = undefined))
    return lost.mending
  }

  async #syncInRow(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const synced = (error?: Error): void => (error === undefined ? resolve() : reject(error))
    this.#syncing++
    try {
      if (thread.sync(this.#fd, synced)) return await promise
      await this.#settle({ start: 0, end: Infinity })
      await datasync(this.#fd)
    } finally {
      this.#syncing--
    }
  }
}

function find<T extends Range>(ranges: ReadonlySet<T>, { start, end }: Range): T | undefined {
  for (const range of ranges) if (range.start < end && start < range.end) return range
  return undefined
}
