import { seededRandom, type Random } from '../../src/base/index.ts'
import type { LabOptions, Role } from './lab-options.ts'
import { roles } from './lab-options.ts'
import { defaultOptions } from './options.ts'

/** A small lab of which everything is drawn: what its lines are, who is in it, what goes wrong. */
export function randomLab(seed: number): LabOptions {
  const random = seededRandom(seed)
  random.next()
  const between = (low: number, high: number): number => low + random.next() * (high - low)
  const whole = (low: number, high: number): number => Math.floor(between(low, high + 1))
  const oneOf = <T>(values: readonly T[], fallback: T): T =>
    values[whole(0, values.length - 1)] ?? fallback
  const agents = whole(4, 12)
  const faults = faultsOf(random, Math.floor(agents / 3))
  const seedDies = random.next() < 0.3
  const seedDiesMs = seedDies ? whole(500, 3_000) : 0
  return {
    ...defaultOptions,
    seed,
    workload: oneOf(['copy', 'replay'] as const, 'copy'),
    agents,
    seeds: oneOf([1, 1, 1, 2], 1),
    items: whole(40, 160),
    frameBytes: whole(10_000, 90_000),
    thinkMs: whole(0, 20),
    mbit: oneOf([20, 40, 100, 1_000], 40),
    seedMbit: oneOf([20, 40, 100, 1_000], 40),
    latencyMs: oneOf([0.1, 0.2, 1, 5], 0.2),
    rackSize: oneOf([0, 0, 4], 0),
    rackMbit: oneOf([40, 100, 1_000], 100),
    spreadMs: whole(0, 1_000),
    stragglers: faults.straggler,
    // At 1 Mbit/s a machine does not end today (docs/simulator.md, What the rules do not do yet).
    stragglerMbit: 4,
    leavers: faults.leaver,
    leaveAtMs: whole(300, 1_500),
    returnMs: whole(2_000, 4_000),
    lost: faults.lost,
    lostAtMs: whole(300, 3_000),
    late: faults.late,
    lateMs: whole(500, 5_000),
    mutes: faults.mute,
    liars: faults.liar,
    seedDiesMs,
    // A boot cannot end without what the seed alone had.
    seedReturnsMs: seedDies ? seedDiesMs + whole(500, 6_000) : 0,
    endMs: 120_000,
    seedCopiesMax: 6
  }
}

function faultsOf(random: Random, most: number): Record<Exclude<Role, 'plain'>, number> {
  const faults = { straggler: 0, leaver: 0, lost: 0, late: 0, mute: 0, liar: 0, slow: 0 }
  for (let n = 0; n < most; n += 1) {
    const role = random.next() < 0.5 ? roles[Math.floor(random.next() * roles.length)] : undefined
    if (role !== undefined) faults[role] += 1
  }
  return faults
}
