/** Asked again when memory has been given back. */
export type Waiter = () => void

/**
 * The memory that all clients of a server share. Nobody gets more than half of it and no more than
 * is left after that for the others, so that a client that holds on to its share leaves room.
 */
export class MemoryBudget {
  readonly #bytesMax: number
  readonly #patienceMs: number
  readonly #onStarved: () => void
  readonly #waiting = new Set<Waiter>()
  #held = 0
  #timer: NodeJS.Timeout | undefined

  /** `onStarved` is called when somebody has waited for `patienceMs`, and again as long as one does. */
  constructor(bytesMax: number, patienceMs: number, onStarved: () => void) {
    this.#bytesMax = bytesMax
    this.#patienceMs = patienceMs
    this.#onStarved = onStarved
  }

  get heldBytes(): number {
    return this.#held
  }

  /** Takes the bytes for somebody who holds `own` bytes already; if not, `waiter` is called later. */
  take(bytes: number, own: number, waiter: Waiter): boolean {
    if (bytes > 0 && own + bytes > this.#bytesMax - this.#held) {
      this.#waiting.add(waiter)
      this.#timer ??= setTimeout(() => this.#starve(), this.#patienceMs).unref()
      return false
    }
    this.#waiting.delete(waiter)
    this.#held += bytes
    return true
  }

  give(bytes: number): void {
    this.#held -= bytes
    if (bytes === 0 || this.#waiting.size === 0) return
    // Who still gets nothing takes its place in the line again, at the end.
    const waiters = [...this.#waiting]
    this.#waiting.clear()
    for (const waiter of waiters) waiter()
    if (this.#waiting.size === 0) this.#calm()
  }

  /** It does not want anything any more. */
  forget(waiter: Waiter): void {
    this.#waiting.delete(waiter)
    if (this.#waiting.size === 0) this.#calm()
  }

  #starve(): void {
    this.#timer = undefined
    if (this.#waiting.size === 0) return
    this.#timer = setTimeout(() => this.#starve(), this.#patienceMs).unref()
    this.#onStarved()
  }

  #calm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
