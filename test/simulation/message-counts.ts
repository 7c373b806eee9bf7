import type { WireMessage } from '../../src/swarm/messages.ts'

export type MessageType = WireMessage['type']

/** Messages of each type. */
export type Counts = ReadonlyMap<MessageType, number>

const spanMs = 1_000

/** What one node says and is told, but for the frames themselves, in the second in which that is most. */
export class MessageCounts {
  #span = new Map<MessageType, number>()
  #spanCount = 0
  #spanEnd = spanMs
  #busiest: Counts = new Map()
  #busiestCount = 0

  count(type: MessageType, now: number): void {
    if (type === 'frame' || type === 'segment') return
    if (now >= this.#spanEnd) {
      this.#close()
      this.#spanEnd = (Math.floor(now / spanMs) + 1) * spanMs
    }
    this.#spanCount += 1
    this.#span.set(type, (this.#span.get(type) ?? 0) + 1)
  }

  /** By type, the most frequent first. */
  get busiest(): Counts {
    this.#close()
    return new Map([...this.#busiest].sort(([, a], [, b]) => b - a))
  }

  get busiestCount(): number {
    this.#close()
    return this.#busiestCount
  }

  #close(): void {
    if (this.#spanCount > this.#busiestCount) {
      this.#busiest = this.#span
      this.#busiestCount = this.#spanCount
    }
    this.#span = new Map()
    this.#spanCount = 0
  }
}
