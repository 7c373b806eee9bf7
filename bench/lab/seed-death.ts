import { setTimeout as sleep } from 'node:timers/promises'
import { chunksHeld } from './disks.ts'
import type { LabProcess } from './processes.ts'
import { diskOf, eachMeasured, type Run } from './run.ts'
import { rounded } from './statistics.ts'
import { dataPositions } from './subject.ts'

export interface Survived {
  /** performance.now() at which the last survivor had everything. */
  readonly endMs: number
  readonly machineSeconds: readonly number[]
  readonly seedDeath: SeedDeath
}

export interface SeedDeath {
  readonly chunksInUnion: number
  readonly chunksOfPoorest: number
  /** From the seed's death until the last thing arrived. */
  readonly unionReachedSeconds: number
  readonly completeAfterReturnSeconds: number
}

/** Nothing has arrived anywhere for this long: the survivors have shared what there is. */
const standstillMs = 6_000

/**
 * Kills the seed in the middle of a full copy. The survivors must end with the union of what they
 * hold, which is seen on their disks; then the seed returns, and they must go on to the end.
 */
export async function surviveSeed(
  run: Run,
  agents: readonly LabProcess[],
  seed: LabProcess,
  startAtMs: number,
  restart: () => LabProcess
): Promise<Survived> {
  const killAtMs = startAtMs + (run.options.killSeedAt ?? 0) * 1000
  await sleep(Math.max(0, killAtMs - performance.now()), undefined, { signal: run.signal })
  await seed.kill()
  run.note('the seed is dead; waiting until the survivors stand still')
  const stoodStillMs = await untilStandstill(agents, run.signal)
  const { union, least } = await whatIsHeld(run)
  const returnedMs = performance.now()
  const returned = restart()
  await returned.until('ready', run.signal)
  run.note(`the survivors hold ${union} chunks together, the poorest ${least}; the seed is back`)
  const ends = await eachMeasured(
    run,
    async (_host, index) => (await (agents[index] as LabProcess).until('present', run.signal)).atMs
  )
  return {
    endMs: Math.max(...ends),
    machineSeconds: ends.map(end => (end - startAtMs) / 1000),
    seedDeath: {
      chunksInUnion: union,
      chunksOfPoorest: least,
      unionReachedSeconds: rounded((stoodStillMs - killAtMs) / 1000, 2),
      completeAfterReturnSeconds: rounded((Math.max(...ends) - returnedMs) / 1000, 2)
    }
  }
}

/** When the last thing arrived. */
async function untilStandstill(
  agents: readonly LabProcess[],
  signal: AbortSignal
): Promise<number> {
  for (;;) {
    await sleep(200, undefined, { signal })
    const last = Math.max(...agents.map(agent => agent.latest('progress')?.atMs ?? 0))
    if (performance.now() - last >= standstillMs) return last
    if (agents.every(agent => agent.latest('present') !== undefined)) return last
  }
}

async function whatIsHeld(run: Run): Promise<{ union: number; least: number }> {
  const { imagePath, chunkSize } = run.subject
  const positions = await dataPositions(imagePath, chunkSize)
  const union = new Set<number>()
  let least = Infinity
  for (const host of run.measured) {
    const held = await chunksHeld(imagePath, diskOf(run, host), positions, chunkSize)
    for (const position of held) union.add(position)
    least = Math.min(least, held.size)
  }
  return { union: union.size, least }
}
