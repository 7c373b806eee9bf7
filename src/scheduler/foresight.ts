/** Of about so many reads it is counted how many were not foreseen … */
const readsKept = 64
/** … as if so many had been foreseen before the first. */
const readsTrusted = 16
/** With a larger share of them what the profile names costs reads more than it brings. */
const doubtMax = 0.1

/**
 * What will be read soon, and how far that can be believed: what neighbours have just read, and what
 * earlier boots of the image read, its boot profile.
 */
export class Foresight {
  /** Items that are not here, and when somebody first said so. */
  #expected = new Map<number, number>()
  /** In the profile's order, and the place of each in it. */
  #order: readonly number[] = []
  #places = new Map<number, number>()
  /** The place behind what was read last. */
  #next = 0
  #reads = 0
  /** Of what was read lately, the share that the profile did not name. */
  doubt = 0

  /** Others have read the item just now. */
  expect(item: number, now: number): void {
    if (!this.#expected.has(item)) this.#expected.set(item, now)
  }

  /** A boot is foreseen to read the items. */
  foresee(items: Iterable<number>): void {
    this.#order = [...new Set([...this.#order, ...items])]
    this.#places = new Map(this.#order.map((item, place) => [item, place]))
  }

  /** The machine reads the item for the first time, whether it is here or not. */
  read(item: number): void {
    if (this.#order.length === 0) return
    const place = this.#places.get(item)
    if (place !== undefined) this.#next = place + 1
    this.#reads += 1
    const weight = 1 / Math.min(readsKept, readsTrusted + this.#reads)
    this.doubt += weight * ((place === undefined ? 1 : 0) - this.doubt)
  }

  settled(item: number): void {
    this.#expected.delete(item)
  }

  /** Since when others were seen to read it; undefined when only a profile names it, or nothing. */
  expectedSince(item: number): number | undefined {
    return this.#expected.get(item)
  }

  /** A profile names it. */
  isForeseen(item: number): boolean {
    return this.#places.has(item)
  }

  /** Nobody was seen to read it, only a profile names it. */
  isOnlyForeseen(item: number): boolean {
    return this.#places.has(item) && !this.#expected.has(item)
  }

  names(item: number): boolean {
    return this.#expected.has(item) || this.#places.has(item)
  }

  /** The profile is, in part, of another boot. */
  get isDoubted(): boolean {
    return this.doubt > doubtMax
  }

  /**
   * What only the profile names: from where the machine reads, and at the end what it has passed over, which
   * is most of what is wrong.
   */
  *ahead(): Generator<number> {
    const { length } = this.#order
    for (let step = 0; step < length; step += 1) {
      const item = this.#order[(this.#next + step) % length]
      if (item !== undefined && !this.#expected.has(item)) yield item
    }
  }
}
