import { nextDataExtent } from '../base/index.ts'

/** Of so much at a time it is remembered that a file has all of it on its file system. */
const regionBytes = 1024 * 1024

const unknown = 0
const whole = 1
const holey = 2

/**
 * Which parts of a file its file system has room for already: what is written there cannot fail for want of
 * it. A file system that copies what is written over (btrfs) has none for sure, and says so with the flush.
 */
export class TakenRoom {
  readonly #fd: number
  readonly #size: number
  readonly #regions: Uint8Array

  constructor(fd: number, size: number) {
    this.#fd = fd
    this.#size = size
    this.#regions = new Uint8Array(Math.ceil(size / regionBytes))
  }

  has(offset: number, length: number): boolean {
    const end = offset + length
    for (let region = Math.floor(offset / regionBytes); region * regionBytes < end; region++) {
      if (this.#stateOf(region) === holey) return this.#isWhole(offset, end)
    }
    return true
  }

  /** A range is given back to the file system, or has just been. */
  givenBack(offset: number, length: number): void {
    const last = Math.ceil((offset + length) / regionBytes)
    this.#regions.fill(unknown, Math.floor(offset / regionBytes), last)
  }

  #stateOf(region: number): number {
    const known = this.#regions[region] ?? holey
    if (known !== unknown) return known
    const start = region * regionBytes
    const state = this.#isWhole(start, Math.min(start + regionBytes, this.#size)) ? whole : holey
    return (this.#regions[region] = state)
  }

  #isWhole(start: number, end: number): boolean {
    const data = nextDataExtent(this.#fd, start, end)
    return data?.offset === start && data.length === end - start
  }
}
