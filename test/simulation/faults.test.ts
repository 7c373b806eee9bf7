import test from 'ava'
import type { LabOptions } from './lab-options.ts'
import type { LabResult } from './lab-result.ts'
import { defaultOptions } from './options.ts'
import { smallImage } from './sim-image.ts'
import { Simulation } from './simulation.ts'

// Each fault does what its name says. What the rules make of faults is for the figures and the random labs.

const image = smallImage(120, 50_000, 5)

function lab(options: Partial<LabOptions>): Simulation {
  return new Simulation({ ...defaultOptions, agents: 8, endMs: 60_000, ...options }, image)
}

function run(options: Partial<LabOptions>): LabResult {
  return lab(options).run()
}

test('without faults all machines end with all, or with all that they read', t => {
  const copy = run({ workload: 'copy' })
  t.is(copy.done, 8)
  t.is(copy.heldMin, 120)
  const replay = run({ workload: 'replay', background: 0 })
  t.is(replay.done, 8)
  t.is(replay.heldMin, 30)
})

test('the lost are not waited for, dead or cut off', t => {
  const simulation = lab({ workload: 'copy', lost: 2, lostAtMs: 300 })
  const result = simulation.run()
  t.is(result.expected, 6)
  t.is(result.done, 6)
  const lost = simulation.agents.filter(agent => simulation.roleOf(agent) === 'lost')
  t.deepEqual(
    lost.map(agent => agent.state),
    ['dead', 'cut']
  )
  t.true(lost.every(agent => agent.heldCount < 120))
})

for (const workload of ['copy', 'replay'] as const) {
  test(`${workload}: who leaves and returns goes on with what it holds`, t => {
    const simulation = lab({ workload, leavers: 2, leaveAtMs: 300, returnMs: 2_000 })
    const [leaver] = simulation.agents
    let before = 0
    simulation.world.events.at(1_999, () => (before = leaver?.heldCount ?? 0))
    const result = simulation.run()
    t.is(result.done, 8)
    t.true(before > 0 && before < 120)
    t.true((leaver?.heldCount ?? 0) > before)
    t.true(result.troubledMs > 2_000)
  })
}

test('the late start late, and their time is their own', t => {
  const simulation = lab({ workload: 'copy', late: 2, lateMs: 4_000 })
  const result = simulation.run()
  t.is(result.done, 8)
  t.true(simulation.agents.filter(({ startedAt = 0 }) => startedAt >= 4_000).length === 2)
  t.true(result.lastMs < 4_000)
})

test('a dead seed leaves its machines with what they hold together', t => {
  const result = run({ workload: 'copy', seedDiesMs: 700 })
  t.true(result.heldUnion > 0 && result.heldUnion < 120)
  t.is(result.heldMin, result.heldUnion)
  t.is(result.done, 0)
  t.deepEqual(result.violations, [])
})

test('a seed that returns completes its machines, and sends little twice', t => {
  const result = run({ workload: 'copy', seedDiesMs: 700, seedReturnsMs: 2_000 })
  t.is(result.done, 8)
  t.true(result.seedCopies < 1.5)
})

test('what a liar sends is kept by nobody', t => {
  const simulation = lab({ workload: 'copy', liars: 1 })
  const result = simulation.run()
  t.is(result.expected, 7)
  t.is(result.done, 7)
  const [liar] = simulation.agents.filter(({ isLiar }) => isLiar)
  t.true((liar?.uploads.bytesSent ?? 0) > 0)
})

test('a mute sends no frame', t => {
  const simulation = lab({ workload: 'copy', mutes: 1 })
  t.is(simulation.run().done, 8)
  const [mute] = simulation.agents.filter(({ isMute }) => isMute)
  t.is(mute?.uploads.bytesSent, 0)
})

test('a processor that all share makes everybody slower', t => {
  const costs = { ...defaultOptions.costs, messageMs: 1 }
  const alone = run({ workload: 'copy', costs })
  const shared = run({ workload: 'copy', costs, cores: 1 })
  t.true(shared.processorShare > 0.9)
  t.true(shared.lastMs > 1.2 * alone.lastMs)
})
