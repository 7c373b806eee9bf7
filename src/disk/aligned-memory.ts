// TypeScript knows it from browsers only.
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number; shared?: boolean }) => {
    readonly buffer: ArrayBuffer
  }
}

/** What O_DIRECT moves at a time through one slot. */
export const slotBytes = 1024 * 1024
const slotCount = 16
const wasmPageBytes = 64 * 1024

/** So many bytes or some more that several threads see, aligned as those of `AlignedMemory`. */
export function sharedAligned(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / wasmPageBytes)
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  return buffer as unknown as SharedArrayBuffer
}

/**
 * Memory that a block device can read and write without the page cache: aligned to 64 KiB, as Node's
 * buffers are not. What was never used takes no room.
 */
export class AlignedMemory {
  readonly #free: Buffer[]
  readonly #waiting: ((slot: Buffer) => void)[] = []

  constructor() {
    const initial = (slotCount * slotBytes) / wasmPageBytes
    const memory = new WebAssembly.Memory({ initial, maximum: initial })
    this.#free = Array.from({ length: slotCount }, (_, index) =>
      Buffer.from(memory.buffer, index * slotBytes, slotBytes)
    )
  }

  /** Runs a job with a slot of `slotBytes` of its own; those that find none free wait in turn. */
  async use<T>(job: (slot: Buffer) => Promise<T>): Promise<T> {
    const slot = this.#free.pop() ?? (await new Promise<Buffer>(take => this.#waiting.push(take)))
    try {
      return await job(slot)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free.push(slot)
      else next(slot)
    }
  }
}
