/** Which peer says that it has which item: one bit an item, set for good by `setAll`. */
export class Availability {
  #itemCount: number
  #maps = new Map<string, Uint8Array | 'all'>()
  /** How many peers with a map say that they have the item, by item. */
  #holders: Uint16Array
  #holdersOfAll = 0

  constructor(itemCount: number) {
    this.#itemCount = itemCount
    this.#holders = new Uint16Array(itemCount)
  }

  setAll(peer: string): void {
    if (this.#maps.get(peer) === 'all') return
    this.remove(peer)
    this.#maps.set(peer, 'all')
    this.#holdersOfAll += 1
  }

  /** `bits` start at item `first`, a multiple of 8; what lies beyond the last item is ignored. */
  setMap(peer: string, first: number, bits: Uint8Array): void {
    const map = this.#mapOf(peer)
    if (map === 'all') return
    const end = Math.min(this.#itemCount, first + bits.length * 8)
    for (let item = first; item < end; item += 1) {
      const has = ((bits[(item - first) >> 3] ?? 0) & maskOf(item)) !== 0
      this.#setBit(map, item, has)
    }
  }

  set(peer: string, item: number, has: boolean): void {
    if (item >= this.#itemCount) return
    const known = this.#mapOf(peer)
    if (known !== 'all') this.#setBit(known, item, has)
    else if (!has) this.#setBit(this.#expand(peer), item, false)
  }

  has(peer: string, item: number): boolean {
    const map = this.#maps.get(peer)
    if (map === undefined) return false
    return map === 'all' || ((map[item >> 3] ?? 0) & maskOf(item)) !== 0
  }

  /** How many peers say that they have the item. */
  holderCount(item: number): number {
    return (this.#holders[item] ?? 0) + this.#holdersOfAll
  }

  /** Whether the peer has said anything of what it has: then it works on the same image. */
  isKnown(peer: string): boolean {
    return this.#maps.has(peer)
  }

  hasAll(peer: string): boolean {
    return this.#maps.get(peer) === 'all'
  }

  remove(peer: string): void {
    const map = this.#maps.get(peer)
    this.#maps.delete(peer)
    if (map === 'all') this.#holdersOfAll -= 1
    else if (map !== undefined) {
      for (let item = 0; item < this.#itemCount; item += 1) this.#setBit(map, item, false)
    }
  }

  #setBit(map: Uint8Array, item: number, has: boolean): void {
    const byte = map[item >> 3] ?? 0
    const mask = maskOf(item)
    if (((byte & mask) !== 0) === has) return
    map[item >> 3] = byte ^ mask
    this.#holders[item] = (this.#holders[item] ?? 0) + (has ? 1 : -1)
  }

  /** A peer that had everything has something no more. */
  #expand(peer: string): Uint8Array {
    this.remove(peer)
    const map = this.#emptyMap()
    this.#maps.set(peer, map)
    for (let item = 0; item < this.#itemCount; item += 1) this.#setBit(map, item, true)
    return map
  }

  #mapOf(peer: string): Uint8Array | 'all' {
    const known = this.#maps.get(peer)
    if (known !== undefined) return known
    const map = this.#emptyMap()
    this.#maps.set(peer, map)
    return map
  }

  #emptyMap(): Uint8Array {
    return new Uint8Array(Math.ceil(this.#itemCount / 8))
  }
}

function maskOf(item: number): number {
  return 0x80 >> (item % 8)
}
