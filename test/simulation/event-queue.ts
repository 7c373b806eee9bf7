/** What happens when, in virtual milliseconds: earliest first, and in the order of asking within an instant. */
export class EventQueue {
  now = 0
  /** Events that have happened. */
  count = 0
  #times = new Float64Array(1024)
  #order = new Float64Array(1024)
  #runs: (() => void)[] = []
  #size = 0
  #asked = 0

  after(delayMs: number, run: () => void): void {
    this.at(this.now + delayMs, run)
  }

  at(time: number, run: () => void): void {
    if (this.#size === this.#times.length) this.#grow()
    const when = time < this.now ? this.now : time
    this.#asked += 1
    this.#rise(this.#size, when, this.#asked, run)
    this.#size += 1
  }

  /** The next event happens; false when there is none before `end`. */
  step(end: number): boolean {
    const time = this.#times[0] ?? 0
    if (this.#size === 0 || time > end) return false
    const run = this.#runs[0]
    this.#removeFirst()
    this.now = time
    this.count += 1
    run?.()
    return true
  }

  #rise(place: number, time: number, order: number, run: () => void): void {
    let child = place
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (this.#isBefore(parent, time, order)) break
      this.#copy(parent, child)
      child = parent
    }
    this.#put(child, time, order, run)
  }

  #removeFirst(): void {
    const last = (this.#size -= 1)
    const time = this.#times[last] ?? 0
    const order = this.#order[last] ?? 0
    const run = this.#runs.pop()
    if (last === 0 || run === undefined) return
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= last) break
      const other = child + 1
      if (other < last && this.#isBefore(other, this.#times[child] ?? 0, this.#order[child] ?? 0)) {
        child = other
      }
      if (!this.#isBefore(child, time, order)) break
      this.#copy(child, parent)
      parent = child
    }
    this.#put(parent, time, order, run)
  }

  #isBefore(place: number, time: number, order: number): boolean {
    const mine = this.#times[place] ?? 0
    return mine < time || (mine === time && (this.#order[place] ?? 0) < order)
  }

  #copy(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0
    this.#order[to] = this.#order[from] ?? 0
    const run = this.#runs[from]
    if (run !== undefined) this.#runs[to] = run
  }

  #put(place: number, time: number, order: number, run: () => void): void {
    this.#times[place] = time
    this.#order[place] = order
    this.#runs[place] = run
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    const order = new Float64Array(this.#order.length * 2)
    times.set(this.#times)
    order.set(this.#order)
    this.#times = times
    this.#order = order
  }
}
