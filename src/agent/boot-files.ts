import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../base/index.ts'
import type { Processor } from '../disk/index.ts'
import type { BootCache, BootCacheInit, BootOffer } from '../netboot/index.ts'

const lookMs = 1_000

/**
 * What this machine serves to others that boot. It is loaded, and what it has is hashed, after the machine has
 * its own disk, and where it is told of the processor, when its boot leaves that alone.
 */
export class BootFiles {
  readonly #closing = new AbortController()
  readonly #starting: Promise<BootCache>
  #cache: BootCache | undefined

  constructor(init: BootCacheInit, processor: Processor | undefined) {
    this.#starting = this.#start(init, processor)
    this.#starting.then(
      cache => (this.#cache = cache),
      () => {
        // Whoever waits for `started` hears of it.
      }
    )
  }

  async #start(init: BootCacheInit, processor: Processor | undefined): Promise<BootCache> {
    const { signal } = this.#closing
    const end = performance.now() + limits.bootMsUsual
    // What the agent itself begins with looks like a machine at rest.
    if (processor !== undefined) await sleep(limits.bootBusyMs, undefined, { signal })
    while (processor?.isContended === true && performance.now() < end) {
      await sleep(lookMs, undefined, { signal })
    }
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
    this.#closing.abort(new Error('the agent is stopping'))
    const cache = await this.#starting.catch(() => undefined)
    await cache?.close()
  }
}
