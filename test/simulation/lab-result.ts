import type { AgentNode } from './agent-node.ts'
import type { Violation } from './checkers.ts'
import { MessageCounts } from './message-counts.ts'
import { bytesOf } from './sim-image.ts'
import type { Simulation } from './simulation.ts'

export interface LabResult {
  /** Of the machines that nothing is the matter with, each from its own start. */
  readonly lastMs: number
  readonly medianMs: number
  /** Of stragglers and of those that left and returned. */
  readonly troubledMs: number
  readonly done: number
  readonly expected: number
  /** Chunks that the expected machine with the fewest has, and that all living nodes together have. */
  readonly heldMin: number
  readonly heldUnion: number
  readonly seedBytes: number
  /** Of the image's frames. */
  readonly seedCopies: number
  /** Of the frames of what a boot reads. */
  readonly seedBootSets: number
  /** What went into the rack that took most from the others, and all that crossed, in images' frames. */
  readonly rackCopies: { readonly into: number; readonly crossed: number }
  /** Of all frame bytes that machines received, the share that they have not got a chunk by. */
  readonly extraShare: number
  readonly urgentMs: { readonly p50: number; readonly p95: number; readonly max: number }
  readonly stillMsMax: number
  /** Messages but for frames, both ways, at a seed in its busiest second, a machine. */
  readonly seedMessagesPeak: number
  /** The same by type, and what all nodes sent in all. */
  readonly seedMessages: Readonly<Record<string, number>>
  readonly messages: Readonly<Record<string, number>>
  readonly linksMax: number
  readonly violations: readonly Violation[]
  readonly violationCount: number
  readonly events: number
  /** Of the busiest processor. */
  readonly processorShare: number
  /** Of all processors together. */
  readonly processorSeconds: number
}

/** What came of a run; the checkers that judge its end have their say here. */
export function resultOf(simulation: Simulation): LabResult {
  const { world, seeds, agents, expected, checkers, options } = simulation
  const { image, events } = world
  const imageBytes = bytesOf(image, world.items)
  const seedBytes = seeds.reduce((sum, seed) => sum + seed.bytesSent, 0)
  const union = simulation.union()
  for (const agent of expected) checkers.expectCompletion(agent, isDone(simulation, agent, union))
  checkers.expectSeedBytes(seedBytes, options.seedCopiesMax * imageBytes)
  return {
    ...timesOf(simulation),
    done: expected.filter(agent => simulation.doneAt(agent) !== undefined).length,
    expected: expected.length,
    heldMin: Math.min(...expected.map(agent => agent.heldCount)),
    heldUnion: union.length,
    seedBytes,
    seedCopies: seedBytes / imageBytes,
    seedBootSets: checkers.seedBootBytes / Math.max(1, bytesOf(image, image.bootSet)),
    rackCopies: rackCopiesOf(simulation, imageBytes),
    extraShare: extraShareOf(simulation),
    stillMsMax: checkers.stillMsMax,
    ...messagesOf(simulation),
    linksMax: Math.max(...agents.map(agent => agent.linksMax)),
    violations: checkers.violations,
    violationCount: checkers.violationCount,
    events: events.count,
    ...processorsOf(simulation)
  }
}

function processorsOf({
  seeds,
  agents,
  world
}: Simulation): Pick<LabResult, 'processorShare' | 'processorSeconds'> {
  const processors = new Set([...seeds, ...agents].map(({ processor }) => processor))
  const busyMs = Array.from(processors, processor => processor.busyMs)
  return {
    processorShare: Math.max(...busyMs) / Math.max(1, world.events.now),
    processorSeconds: busyMs.reduce((sum, ms) => sum + ms, 0) / 1_000
  }
}

/** What goes from one rack to another is counted once. */
function rackCopiesOf({ world }: Simulation, imageBytes: number): LabResult['rackCopies'] {
  const racks = [...world.network.rackBytes().values()]
  const into = racks.map(({ into: bytes }) => bytes)
  const outOf = racks.map(({ outOf: bytes }) => bytes)
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)
  return {
    into: Math.max(0, ...into) / imageBytes,
    crossed: Math.max(sum(into), sum(outOf)) / imageBytes
  }
}

function extraShareOf({ agents, world }: Simulation): number {
  const received = agents.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0)
  const kept = agents.reduce(
    (sum, agent) =>
      sum +
      bytesOf(
        world.image,
        world.items.filter(item => agent.holds(item))
      ),
    0
  )
  return 1 - kept / Math.max(1, received)
}

/** With all seeds dead, a machine has done what it can when it has all that there is. */
function isDone(simulation: Simulation, agent: AgentNode, union: readonly number[]): boolean {
  if (simulation.doneAt(agent) !== undefined) return true
  const isSeedless = simulation.seeds.every(seed => !seed.isUp)
  return isSeedless && agent.isUp && union.every(item => agent.holds(item))
}

function timesOf(
  simulation: Simulation
): Pick<LabResult, 'lastMs' | 'medianMs' | 'troubledMs' | 'urgentMs'> {
  const { expected, counted } = simulation
  const timeOf = (agent: AgentNode): number =>
    (simulation.doneAt(agent) ?? Infinity) - (agent.startedAt ?? 0)
  const times = counted.map(timeOf).sort((a, b) => a - b)
  const waits = counted.flatMap(agent => agent.reader.waitsMs).sort((a, b) => a - b)
  return {
    lastMs: times.at(-1) ?? 0,
    medianMs: times[Math.floor(times.length / 2)] ?? 0,
    troubledMs: Math.max(0, ...expected.filter(agent => !counted.includes(agent)).map(timeOf)),
    urgentMs: {
      p50: waits[Math.floor(waits.length / 2)] ?? 0,
      p95: waits[Math.floor(waits.length * 0.95)] ?? 0,
      max: waits.at(-1) ?? 0
    }
  }
}

function messagesOf({
  world,
  seeds,
  agents
}: Simulation): Pick<LabResult, 'seedMessagesPeak' | 'seedMessages' | 'messages'> {
  const [busiest = new MessageCounts()] = seeds
    .map(({ messages }) => messages)
    .sort((a, b) => b.busiestCount - a.busiestCount)
  return {
    seedMessagesPeak: busiest.busiestCount / agents.length,
    seedMessages: Object.fromEntries(busiest.busiest),
    messages: Object.fromEntries([...world.sent].sort(([, a], [, b]) => b - a))
  }
}
