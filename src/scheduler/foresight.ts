/** Of so many reads it is counted how many were foreseen. */
const weight = 1 / 16
/** With a smaller share of them the profile is of another boot: what it names waits its turn. */
const trustMin = 0.5

/**
 * What will be read soon, and how far that can be believed: what neighbours have just read, and what
 * earlier boots of the image read, its boot profile.
 */
export class Foresight {
  /** Items that are not here, and when somebody first said so. */
  #expected = new Map<number, number>()
  #foreseen = new Set<number>()
  #trust = 1

  /** Others have read the item just now. */
  expect(item: number, now: number): void {
    if (!this.#expected.has(item)) this.#expected.set(item, now)
  }

  /** A boot is foreseen to read the items. */
  foresee(items: Iterable<number>): void {
    for (const item of items) this.#foreseen.add(item)
  }

  /** The machine reads the item for the first time, whether it is here or not. */
  read(item: number): void {
    if (this.#foreseen.size === 0) return
    this.#trust += weight * ((this.#foreseen.has(item) ? 1 : 0) - this.#trust)
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
    return this.#foreseen.has(item)
  }

  /** Nobody was seen to read it, only a profile names it. */
  isOnlyForeseen(item: number): boolean {
    return this.#foreseen.has(item) && !this.#expected.has(item)
  }

  names(item: number): boolean {
    return this.#expected.has(item) || this.#foreseen.has(item)
  }

  /** Nothing but a profile names it that was wrong about most of what was read lately. */
  isDoubtful(item: number): boolean {
    return this.#trust < trustMin && this.isOnlyForeseen(item)
  }
}
