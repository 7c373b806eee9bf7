import type { BlockPool } from './block-pool.ts'

/**
 * Collects what is written in one turn of the event loop, and hands it on at its end, or as soon as a
 * block is full. What is written is copied.
 */
export class BlockWriter {
  readonly #pool: BlockPool
  /** `bytes` lie in `block`, which is the receiver's to give back to the pool. */
  readonly #handOn: (bytes: Buffer, block: Buffer) => void
  readonly #headBytes: number
  #block: Buffer | undefined
  /** In the block, its head included. */
  #end = 0
  #isFlushDue = false

  /** With `headBytes`, so much is left free at the beginning of each block. */
  constructor(pool: BlockPool, handOn: (bytes: Buffer, block: Buffer) => void, headBytes = 0) {
    this.#pool = pool
    this.#handOn = handOn
    this.#headBytes = headBytes
    this.#end = headBytes
  }

  /** Bytes collected and not handed on yet. */
  get filled(): number {
    return this.#end - this.#headBytes
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      this.#block ??= this.#pool.take()
      const room = this.#block.length - this.#end
      // Nearly all that is written fits: a view of all of it would be garbage a message.
      const taken = at === 0 && bytes.length <= room ? bytes : bytes.subarray(at, at + room)
      this.#block.set(taken, this.#end)
      this.#end += taken.length
      at += taken.length
      if (this.#end === this.#block.length) this.flush()
    }
    if (this.filled === 0 || this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(this.#flushAtEnd)
  }

  readonly #flushAtEnd = (): void => {
    this.#isFlushDue = false
    this.flush()
  }

  flush(): void {
    const block = this.#block
    if (block === undefined) return
    const bytes = block.subarray(this.#headBytes, this.#end)
    this.#block = undefined
    this.#end = this.#headBytes
    this.#handOn(bytes, block)
  }
}
