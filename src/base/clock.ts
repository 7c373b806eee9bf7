import type { Clock, Logger, Random, Timers } from './contracts.ts'

export const systemClock: Clock = { now: () => performance.now() }

/** Seconds since this process started, to the millisecond. */
export function secondsUp(): number {
  return Math.round(performance.now()) / 1000
}

export const systemTimers: Timers = {
  ...systemClock,
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  }
}

export const systemRandom: Random = { next: () => Math.random() }

/** mulberry32: small, fast, and the same numbers for the same seed on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
    }
  }
}

export function shuffled<T>(values: Iterable<T>, random: Random): T[] {
  const keyed = Array.from(values, value => ({ value, key: random.next() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value)
}

const ignore = (): void => {}
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore }
