import type { BootCache, BootCacheInit, BootOffer } from '../netboot/index.ts'

/**
 * What this machine serves to others that boot. It is loaded beside the agent's start. A first stage, which has
 * hashed what it unpacked, need not be told again what that is: hashed once more while the machine boots, 23 MB cost an
 * emulated processor seconds of the boot, and whoever boots at the same time needs the files now.
 */
export class BootFiles {
  readonly #starting: Promise<BootCache>
  #cache: BootCache | undefined

  constructor(init: BootCacheInit) {
    this.#starting = this.#start(init)
    this.#starting.then(
      cache => (this.#cache = cache),
      () => {
        // Whoever waits for `started` hears of it.
      }
    )
  }

  async #start(init: BootCacheInit): Promise<BootCache> {
    const { BootCache } = await import('../netboot/index.ts')
    return BootCache.start(init)
  }

  /** Rejects as BootCache.start. */
  get started(): Promise<unknown> {
    return this.#starting
  }

  /** Undefined before it has any. */
  offer(): BootOffer | undefined {
    return this.#cache?.offer()
  }

  /** As BootCache.fill. */
  async fill(): Promise<void> {
    await (await this.#starting).fill()
  }

  async close(): Promise<void> {
    const cache = await this.#starting.catch(() => undefined)
    await cache?.close()
  }
}
