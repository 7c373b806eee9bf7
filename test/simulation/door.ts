import { Fifo } from './fifo.ts'

/** Lets a few in at a time, as src/swarm/tls/handshake-turns.ts does; the others wait. */
export class Door {
  #room: number
  #waiting = new Fifo<() => void>()

  constructor(most: number) {
    this.#room = most
  }

  /** Calls `inside` when there is room, with what it is to call when it is done. */
  enter(inside: (leave: () => void) => void): void {
    const begin = (): void => inside(() => this.#left())
    if (this.#room === 0) {
      this.#waiting.push(begin)
      return
    }
    this.#room -= 1
    begin()
  }

  #left(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#room += 1
    else next()
  }
}
