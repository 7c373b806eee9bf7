import type { Places } from './places.ts'

/** Who has not taken anything for this long does not count. */
const takingMs = 500

/**
 * A seed that is in a rack gives first copies to machines of its own rack while they take them: each
 * chunk then crosses to the other racks, and none comes back.
 */
export class OwnRack {
  #places: Places
  #takenAt = -Infinity

  constructor(places: Places) {
    this.#places = places
  }

  mayTake(peer: string, now: number): boolean {
    if (this.#places.own === '') return true
    if (!this.#places.isFar(peer)) {
      this.#takenAt = now
      return true
    }
    return now - this.#takenAt > takingMs
  }
}
