import { fromAside } from './reuse-plan.ts'
import type { Move } from './reuse-plan.ts'

/**
 * In which order chunks can be moved so that none is overwritten before it has been moved on. Every
 * place is the goal of at most one move; a place may be the source of many.
 */
export class MoveOrder {
  readonly #pending = new Map<number, Move>()
  /** How many pending moves start at a place. */
  readonly #users = new Map<number, number>()
  readonly #ready: number[] = []

  constructor(moves: readonly Move[]) {
    for (const move of moves) {
      this.#pending.set(move.to, move)
      if (move.from === fromAside) continue
      this.#users.set(move.from, (this.#users.get(move.from) ?? 0) + 1)
    }
    for (const { to } of moves) if (!this.#users.has(to)) this.#ready.push(to)
  }

  get done(): boolean {
    return this.#pending.size === 0
  }

  /** Up to so many moves whose goal nobody needs any more; empty when only circles are left. */
  next(count: number): Move[] {
    return this.#ready.splice(0, count).flatMap(to => this.#pending.get(to) ?? [])
  }

  /** The move has been made, or was given up. */
  finish({ from, to }: Move): void {
    this.#pending.delete(to)
    this.#release(from)
  }

  /** What the move brings has been put aside: its source is free, its goal is still to be filled. */
  detach({ from, to }: Move): void {
    this.#pending.set(to, { from: fromAside, to })
    this.#release(from)
  }

  /** One move of each circle, up to so many circles; only when `next` is empty. */
  circles(count: number): Move[] {
    // Now every goal is the source of exactly one move, so that following them comes back.
    const seen = new Set<number>()
    const opened: Move[] = []
    for (const first of this.#pending.values()) {
      if (opened.length === count) break
      if (seen.has(first.to)) continue
      opened.push(first)
      for (let move: Move | undefined = first; move !== undefined && !seen.has(move.to);) {
        seen.add(move.to)
        move = this.#pending.get(move.from)
      }
    }
    return opened
  }

  #release(from: number): void {
    if (from === fromAside) return
    const users = (this.#users.get(from) ?? 0) - 1
    if (users > 0) {
      this.#users.set(from, users)
      return
    }
    this.#users.delete(from)
    if (this.#pending.has(from)) this.#ready.push(from)
  }
}
