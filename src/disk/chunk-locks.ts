interface Turn {
  readonly exclusive: boolean
  readonly start: () => void
}

interface ChunkLock {
  /** How many hold it; an exclusive holder is alone. */
  holders: number
  exclusive: boolean
  readonly queue: Turn[]
}

/**
 * Orders what happens to one chunk: either one exclusive job or any number of shared ones at a time,
 * in the order in which they asked. Chunks are independent of each other.
 */
export class ChunkLocks {
  readonly #locks = new Map<number, ChunkLock>()

  async run<T>(position: number, mode: 'shared' | 'exclusive', job: () => Promise<T>): Promise<T> {
    await this.#acquire(position, mode === 'exclusive')
    try {
      return await job()
    } finally {
      this.#release(position)
    }
  }

  /** Nobody holds it, so that what is done at once, and waits for nothing, needs no lock. */
  isFree(position: number): boolean {
    return !this.#locks.has(position)
  }

  #acquire(position: number, exclusive: boolean): Promise<void> | undefined {
    const lock = this.#locks.get(position)
    if (lock === undefined) {
      this.#locks.set(position, { holders: 1, exclusive, queue: [] })
      return undefined
    }
    if (!exclusive && !lock.exclusive && lock.queue.length === 0) {
      lock.holders++
      return undefined
    }
    return new Promise(start => lock.queue.push({ exclusive, start }))
  }

  #release(position: number): void {
    const lock = this.#locks.get(position)
    if (lock === undefined || --lock.holders > 0) return
    const next = lock.queue.shift()
    if (next === undefined) {
      this.#locks.delete(position)
      return
    }
    lock.exclusive = next.exclusive
    lock.holders = 1
    next.start()
    while (!next.exclusive && lock.queue[0]?.exclusive === false) {
      lock.holders++
      lock.queue.shift()?.start()
    }
  }
}
