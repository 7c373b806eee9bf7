import { limits } from '../../src/base/index.ts'

/** Which frames src/agent/relay-cache.ts would still have: those that came last. */
export class RelayedFrames {
  #bytes = 0
  #frames = new Map<number, number>()

  has(item: number): boolean {
    return this.#frames.has(item)
  }

  put(item: number, bytes: number): void {
    if (this.#frames.has(item)) return
    this.#frames.set(item, bytes)
    this.#bytes += bytes
    for (const [oldest, length] of this.#frames) {
      if (this.#bytes <= limits.relayCacheBytes) return
      this.#frames.delete(oldest)
      this.#bytes -= length
    }
  }
}
