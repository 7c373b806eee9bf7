interface Turn {
  readonly start: number
  readonly end: number
  readonly partial: boolean
  readonly done: Promise<void>
}

/**
 * Keeps a write that reads and rewrites a sector of which it changes a part away from all others that
 * overlap it. Whole writes need no order among each other.
 */
export class SectorTurns {
  readonly #turns = new Set<Turn>()

  async run<T>(start: number, end: number, partial: boolean, job: () => Promise<T>): Promise<T> {
    for (let other = this.#inTheWay(start, end, partial); other !== undefined;) {
      await other.done
      other = this.#inTheWay(start, end, partial)
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const turn = { start, end, partial, done: promise }
    this.#turns.add(turn)
    try {
      return await job()
    } finally {
      this.#turns.delete(turn)
      resolve()
    }
  }

  isTaken(start: number, end: number): boolean {
    return this.#inTheWay(start, end, true) !== undefined
  }

  #inTheWay(start: number, end: number, partial: boolean): Turn | undefined {
    for (const turn of this.#turns) {
      if ((partial || turn.partial) && turn.start < end && start < turn.end) return turn
    }
    return undefined
  }
}
