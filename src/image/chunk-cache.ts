import { orAborted } from '../base/index.ts'

interface Loading {
  readonly bytes: Promise<Uint8Array>
  readonly abandon: AbortController
  waiting: number
}

/** How a chunk that is not kept is had. `signal` aborts when nobody waits for it any more. */
export type LoadChunk = (position: number, signal: AbortSignal) => Promise<Uint8Array>

/** The plain chunks that were used last, within bounds; several that want one wait for one load. */
export class ChunkCache {
  readonly #bytesMax: number
  readonly #load: LoadChunk
  /** The longest unused comes first. */
  readonly #kept = new Map<number, Uint8Array>()
  readonly #loading = new Map<number, Loading>()
  #keptBytes = 0

  constructor(bytesMax: number, load: LoadChunk) {
    this.#bytesMax = bytesMax
    this.#load = load
  }

  has(position: number): boolean {
    return this.#kept.has(position)
  }

  /** Rejects as the load does, or with the signal's reason. What it gives must not be written to. */
  async get(position: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted()
    const kept = this.#kept.get(position)
    if (kept !== undefined) {
      this.#kept.delete(position)
      this.#kept.set(position, kept)
      return kept
    }
    const loading = this.#loading.get(position) ?? this.#begin(position)
    loading.waiting++
    try {
      return await orAborted(loading.bytes, signal)
    } finally {
      if (--loading.waiting === 0) loading.abandon.abort(new Error('nobody waits for the chunk'))
    }
  }

  #begin(position: number): Loading {
    const abandon = new AbortController()
    const load = async (): Promise<Uint8Array> => {
      try {
        const bytes = await this.#load(position, abandon.signal)
        this.#keep(position, bytes)
        return bytes
      } finally {
        if (this.#loading.get(position) === loading) this.#loading.delete(position)
      }
    }
    const loading: Loading = { bytes: Promise.resolve().then(load), abandon, waiting: 0 }
    this.#loading.set(position, loading)
    // A load that was abandoned has nobody who would hear of its end; the next one begins anew.
    loading.bytes.catch(() => {})
    abandon.signal.addEventListener('abort', () => {
      if (this.#loading.get(position) === loading) this.#loading.delete(position)
    })
    return loading
  }

  #keep(position: number, bytes: Uint8Array): void {
    this.#kept.set(position, bytes)
    this.#keptBytes += bytes.length
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= this.#bytesMax) return
      this.#kept.delete(oldest)
      this.#keptBytes -= length
    }
  }
}
