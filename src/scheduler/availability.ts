/** Which peer says that it has which item: one bit an item, set for good by `setAll`. */
export class Availability {
  #itemCount: number
  #maps = new Map<string, Uint8Array | 'all'>()

  constructor(itemCount: number) {
    this.#itemCount = itemCount
  }

  setAll(peer: string): void {
    this.#maps.set(peer, 'all')
  }

  /** `bits` start at item `first`, a multiple of 8; what lies beyond the last item is ignored. */
  setMap(peer: string, first: number, bits: Uint8Array): void {
    const map = this.#mapOf(peer)
    if (map === 'all') return
    const at = first / 8
    if (at < map.length) map.set(bits.subarray(0, map.length - at), at)
  }

  set(peer: string, item: number, has: boolean): void {
    if (item >= this.#itemCount) return
    const known = this.#mapOf(peer)
    const map = known === 'all' ? new Uint8Array(Math.ceil(this.#itemCount / 8)).fill(255) : known
    const mask = 0x80 >> (item % 8)
    const byte = map[item >> 3] ?? 0
    map[item >> 3] = has ? byte | mask : byte & ~mask
    if (known !== 'all' || !has) this.#maps.set(peer, map)
  }

  has(peer: string, item: number): boolean {
    const map = this.#maps.get(peer)
    if (map === undefined) return false
    return map === 'all' || ((map[item >> 3] ?? 0) & (0x80 >> (item % 8))) !== 0
  }

  remove(peer: string): void {
    this.#maps.delete(peer)
  }

  #mapOf(peer: string): Uint8Array | 'all' {
    const known = this.#maps.get(peer)
    if (known !== undefined) return known
    const map = new Uint8Array(Math.ceil(this.#itemCount / 8))
    this.#maps.set(peer, map)
    return map
  }
}
