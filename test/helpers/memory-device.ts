import type { BlockDevice } from '../../src/base/index.ts'

/** What a test may do to the next operations of a device. */
export interface Hooks {
  /** Awaited before an operation touches the bytes; what it throws, the operation throws. */
  before?(operation: 'read' | 'write' | 'flush', offset: number, length: number): Promise<void>
}

/** A block device whose bytes a test can look at. */
export interface MemoryDevice extends BlockDevice {
  readonly bytes: Buffer
  /** Flushes that have resolved. */
  readonly flushes: number
  /** Reads that are waiting in `hooks.before` for something other than their abort. */
  readonly readsUnderWay: number
  hooks: Hooks
}

export function memoryDevice(content: number | Uint8Array): MemoryDevice {
  const bytes = typeof content === 'number' ? Buffer.alloc(content) : Buffer.from(content)
  return new Memory(bytes)
}

class Memory implements MemoryDevice {
  readonly bytes: Buffer
  flushes = 0
  readsUnderWay = 0
  hooks: Hooks = {}

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get size(): number {
    return this.bytes.length
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    this.#requireInside(offset, length)
    this.readsUnderWay++
    try {
      await orAborted(this.hooks.before?.('read', offset, length), signal)
    } finally {
      this.readsUnderWay--
    }
    // A copy: what a caller holds must not change under it when the device is written to.
    return Buffer.from(this.bytes.subarray(offset, offset + length))
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#requireInside(offset, data.length)
    await this.hooks.before?.('write', offset, data.length)
    this.bytes.set(data, offset)
  }

  async flush(): Promise<void> {
    await this.hooks.before?.('flush', 0, 0)
    this.flushes++
  }

  /** The caller checks bounds; a test wants to know when it did not. */
  #requireInside(offset: number, length: number): void {
    if (offset < 0 || offset + length > this.size) {
      throw new RangeError(`${length} bytes at ${offset} are outside a device of ${this.size}`)
    }
  }
}

async function orAborted(
  wait: Promise<void> | undefined,
  signal: AbortSignal | undefined
): Promise<void> {
  signal?.throwIfAborted()
  if (wait === undefined) return
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal?.reason as Error)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([wait, aborted.promise])
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}
