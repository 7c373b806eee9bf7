import { systemClock } from '../base/index.ts'
import { StallWatch } from './stall-watch.ts'

/** Payload that came in, by where it came from, and how fast it comes now. */
export class Traffic {
  bytesFromSeed = 0
  bytesFromPeers = 0
  /** Plain bytes that were on this disk already and were used again. */
  bytesLocal = 0
  readonly stalls = new StallWatch(systemClock)
  #windowBytes = 0
  #windowStart = performance.now()
  #rate = 0

  received(role: 'seed' | 'agent', bytes: number): void {
    if (role === 'seed') this.bytesFromSeed += bytes
    else this.bytesFromPeers += bytes
    this.#windowBytes += bytes
  }

  /** Bytes a second since the last time it was asked. */
  takeRate(): number {
    const now = performance.now()
    const seconds = (now - this.#windowStart) / 1000
    if (seconds >= 0.2) {
      this.#rate = Math.round(this.#windowBytes / seconds)
      this.#windowBytes = 0
      this.#windowStart = now
    }
    return this.#rate
  }
}
