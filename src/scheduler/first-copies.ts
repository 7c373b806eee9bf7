import type { ChunkId, Gift } from '../base/index.ts'

/**
 * A first copy that nobody has confirmed so long after it went out counts as not sent. The receiver's
 * line is full of what others send it, and it tells a seed what it has a few times a second: at 10
 * Mbit/s, half a second had every eighth chunk sent twice.
 */
const confirmMs = 2_000
/** Who let one lapse gets none for this long. */
const slowMs = 5_000

interface Given {
  /** Undefined when it has turned the chunk down: then nobody is slow. */
  readonly peer: string | undefined
  readonly at: number
}

/**
 * Which chunks of an image have left this seed. Each is given once, in order, to whoever takes one
 * more; a copy that is not confirmed is given again, to somebody else.
 */
export class FirstCopies {
  #ids: readonly ChunkId[]
  #preferred: readonly ChunkId[] = []
  /** Whether this seed is the chunk's home; the others are given after those, in the other direction. */
  #isHome: (id: ChunkId) => boolean = () => true
  /** All homely ones before this place were given at least once … */
  #next = 0
  /** … and all others behind this one. */
  #lastOther: number
  #out = new Set<ChunkId>()
  /** Not confirmed yet, oldest first. */
  #given = new Map<ChunkId, Given>()
  #slowUntil = new Map<string, number>()

  constructor(ids: readonly ChunkId[]) {
    this.#ids = ids
    this.#lastOther = ids.length - 1
  }

  /** Other seeds have come or gone, so that other chunks are at home here. */
  share(isHome: (id: ChunkId) => boolean): void {
    this.#isHome = isHome
    this.#startOver()
  }

  /** These are given before the others, in this order; ids that are not of the image are passed over. */
  prefer(ids: readonly ChunkId[]): void {
    if (ids === this.#preferred) return
    this.#preferred = ids
    const known = new Set(this.#ids)
    const first = new Set(ids.filter(id => known.has(id)))
    this.#ids = [...first, ...this.#ids.filter(id => !first.has(id))]
    this.#startOver()
  }

  next(peer: string, now: number): Gift {
    if (now < (this.#slowUntil.get(peer) ?? -Infinity)) return { kind: 'later' }
    const id = this.#lapsed(peer, now) ?? this.#unsent()
    if (id === undefined) return { kind: 'none' }
    this.#give(id, peer, now)
    return { kind: 'chunk', id }
  }

  /** The chunk goes to the peer because it asked for this one. */
  given(id: ChunkId, peer: string, now: number): void {
    if (!this.#out.has(id) && !this.#given.has(id)) this.#give(id, peer, now)
  }

  /** The last byte is on its way: from now on the peer's word is waited for. */
  sent(id: ChunkId, peer: string, now: number): void {
    if (this.#given.get(id)?.peer === peer) this.#give(id, peer, now)
  }

  /** The peer does not take it. */
  dropped(id: ChunkId, peer: string): void {
    const given = this.#given.get(id)
    if (given?.peer === peer) this.#given.set(id, { peer: undefined, at: given.at })
  }

  /** Some peer holds the chunk. */
  confirmed(id: ChunkId): void {
    this.#out.add(id)
    this.#given.delete(id)
  }

  /** Nobody is known to hold the chunk any more. */
  lost(id: ChunkId): void {
    if (this.#out.delete(id)) this.#startOver()
  }

  #startOver(): void {
    this.#next = 0
    this.#lastOther = this.#ids.length - 1
  }

  #give(id: ChunkId, peer: string, now: number): void {
    this.#given.delete(id)
    this.#given.set(id, { peer, at: now })
  }

  #lapsed(peer: string, now: number): ChunkId | undefined {
    for (const [id, given] of this.#given) {
      if (now - given.at <= confirmMs) return undefined
      if (given.peer === peer) continue
      if (given.peer !== undefined) this.#slowUntil.set(given.peer, now + slowMs)
      return id
    }
    return undefined
  }

  #unsent(): ChunkId | undefined {
    for (; this.#next < this.#ids.length; this.#next += 1) {
      const id = this.#ids[this.#next]
      if (id !== undefined && this.#isUnsent(id) && this.#isHome(id)) return id
    }
    // From behind: what another seed would give last it has most likely not given yet.
    for (; this.#lastOther >= 0; this.#lastOther -= 1) {
      const id = this.#ids[this.#lastOther]
      if (id !== undefined && this.#isUnsent(id)) return id
    }
    return undefined
  }

  #isUnsent(id: ChunkId): boolean {
    return !this.#out.has(id) && !this.#given.has(id)
  }
}
