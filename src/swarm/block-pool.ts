import { limits } from '../base/index.ts'

/**
 * Memory for what goes out, in blocks of one size that are used again and again: a buffer a write was
 * garbage that V8 finds only by marking its whole heap.
 */
export class BlockPool {
  readonly blockBytes: number
  #free: Buffer[] = []

  constructor(blockBytes: number) {
    this.blockBytes = blockBytes
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.blockBytes)
  }

  /** Only when nobody reads or writes it any more. */
  give(block: Buffer): void {
    if (this.#free.length < limits.freeBlocksMax) this.#free.push(block)
  }
}

/** For all that goes out over links. */
export const blocks = new BlockPool(limits.writeBlockBytes)
