import type { BootCache, BootCacheInit, BootOffer } from '../netboot/index.ts'

/**
 * What this machine serves to others that boot. It is loaded, and what it has is hashed, after the machine has
 * its own disk, which its boot waits for.
 */
export class BootFiles {
  readonly #starting: Promise<BootCache>
  #cache: BootCache | undefined

  constructor(init: BootCacheInit) {
    this.#starting = import('../netboot/index.ts').then(({ BootCache }) => BootCache.start(init))
    this.#starting.then(
      cache => (this.#cache = cache),
      () => {
        // Whoever waits for `started` hears of it.
      }
    )
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
