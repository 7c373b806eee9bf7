import type { SampleImage } from './samples.ts'
import { sectorBytes } from './crashing-storage.ts'

/** Which block the writer's write `number` fills, and with what (killed-writer.ts). */
export function writeOf(number: number, image: SampleImage): { block: number; fill: number } {
  return { block: (number * 7) % (image.size / 4096), fill: 1 + (number % 250) }
}

/** After each of so many writes the writer flushes, and says so before it goes on. */
export const flushEvery = 3

/** What a disk must and may hold after writers were killed. */
export class FlushedWrites {
  readonly #image: SampleImage
  readonly #flushed = new Map<number, number>()
  readonly #tried = new Map<number, Set<number>>()
  #next = 0

  constructor(image: SampleImage) {
    this.#image = image
  }

  /** The first write that the next writer is to do. */
  get next(): number {
    return this.#next
  }

  get flushedBytes(): number {
    return this.#flushed.size * 4096
  }

  /** The last writer said that write `last` was flushed; it got no further than to the next flush. */
  diedAfter(last: number): void {
    for (let number = this.#next; number <= last + flushEvery; number++) {
      const { block, fill } = writeOf(number, this.#image)
      if (number > last) {
        this.#tried.set(block, (this.#tried.get(block) ?? new Set()).add(fill))
      } else {
        this.#flushed.set(block, fill)
        this.#tried.delete(block)
      }
    }
    this.#next = last + 1
  }

  /** Numbers of the sectors that hold what they cannot. */
  strangeSectors(bytes: Buffer): number[] {
    const strange: number[] = []
    for (let offset = 0; offset < bytes.length; offset += sectorBytes) {
      const block = Math.floor(offset / 4096)
      const actual = bytes.subarray(offset, offset + sectorBytes)
      const fill = this.#flushed.get(block)
      const before =
        fill === undefined
          ? this.#image.bytes.subarray(offset, offset + sectorBytes)
          : Buffer.alloc(sectorBytes, fill)
      const later = [...(this.#tried.get(block) ?? [])].map(value =>
        Buffer.alloc(sectorBytes, value)
      )
      if (![before, ...later].some(allowed => allowed.equals(actual))) {
        strange.push(offset / sectorBytes)
      }
    }
    return strange
  }
}
