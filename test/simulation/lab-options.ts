import type { WorldOptions } from './world.ts'

export type Workload = WorldOptions['workload']

/** A whole simulated lab: its lines, its machines, and what goes wrong. */
export interface LabOptions extends WorldOptions {
  readonly agents: number
  readonly seeds: number
  readonly mbit: number
  readonly seedMbit: number
  /** The rack that the seeds are in, from 1; 0 for none. */
  readonly seedRack: number
  /** Cores that all nodes share, as in a lab on one computer; 0 for one each. */
  readonly cores: number
  /** Machines start within this time. */
  readonly spreadMs: number
  readonly stragglers: number
  readonly stragglerMbit: number
  /** Machines whose agents die and start again on the same disk. */
  readonly leavers: number
  readonly leaveAtMs: number
  readonly returnMs: number
  /** Machines that fail in the middle, half of them by losing their line. */
  readonly lost: number
  readonly lostAtMs: number
  /** Machines that start this much later. */
  readonly late: number
  readonly lateMs: number
  readonly mutes: number
  readonly liars: number
  /** Machines that answer `slowTimes` as slowly: so much slower is their line out, and the loading of a frame. */
  readonly slow: number
  readonly slowTimes: number
  /** The seeds fail then; 0 for never. */
  readonly seedDiesMs: number
  /** … and are started again then; 0 for never. */
  readonly seedReturnsMs: number
  /** 0 for the image that was given or drawn; else a small one of so many chunks is drawn. */
  readonly items: number
  /** Of each chunk of a small image, and what its boot thinks before each read. */
  readonly frameBytes: number
  readonly thinkMs: number
  readonly endMs: number
  /** Copies of the image that the seeds may send. */
  readonly seedCopiesMax: number
}

/** What is the matter with a machine; at most one thing. The lost are not expected to be done. */
export const roles = ['straggler', 'leaver', 'lost', 'late', 'mute', 'liar', 'slow'] as const
export type Role = (typeof roles)[number] | 'plain'

const counts = {
  straggler: 'stragglers',
  leaver: 'leavers',
  lost: 'lost',
  late: 'late',
  mute: 'mutes',
  liar: 'liars',
  slow: 'slow'
} as const

/** One role a machine, those with a role first. Throws when there are fewer machines than roles. */
export function rolesOf(options: LabOptions): Role[] {
  const given: Role[] = roles.flatMap(role => new Array<Role>(options[counts[role]]).fill(role))
  if (given.length > options.agents) {
    throw new Error(`--agents ${options.agents} are fewer than the ${given.length} with a fault`)
  }
  return [...given, ...new Array<Role>(options.agents - given.length).fill('plain')]
}
