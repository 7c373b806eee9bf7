import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { range } from './fetcher.ts'
import { Lab, type LabOptions } from './lab.ts'

const sentBySeed = (lab: Lab): number => [...lab.seed.sent.values()].reduce((a, b) => a + b, 0)
const lastDoneMs = (lab: Lab): number => Math.max(...lab.doneAt.values())

function allHaveAll(t: ExecutionContext, lab: Lab): void {
  for (const agent of lab.agents) {
    if (!agent.dead) t.true(lab.doneAt.has(agent.id), `${agent.id} has ${agent.held.size}`)
  }
  t.deepEqual(lab.faults, [])
}

const shape: fc.Arbitrary<LabOptions> = fc
  .record({
    agents: fc.integer({ min: 1, max: 16 }),
    items: fc.integer({ min: 1, max: 120 }),
    random: fc.nat(1_000_000),
    sendMs: fc.integer({ min: 1, max: 20 }),
    neighbours: fc.nat(6),
    bootLength: fc.nat(40)
  })
  .map(({ bootLength, ...lab }) => ({ ...lab, boot: range(0, Math.min(bootLength, lab.items)) }))

test('eight agents get everything and the seed sends every item once', t => {
  for (const random of range(0, 40)) {
    const lab = new Lab({ agents: 8, items: 100, random })
    lab.run()
    allHaveAll(t, lab)
    t.true(sentBySeed(lab) <= 103, `the seed sent ${sentBySeed(lab)} for 100, lab ${random}`)
    // In less than two uplinks need for one copy: all share the load.
    t.true(lastDoneMs(lab) < 100 * 2 * 2, `${lastDoneMs(lab)} ms, lab ${random}`)
  }
})

test('eight agents that boot the same image at once cost the seed little more', t => {
  for (const random of range(0, 40)) {
    const lab = new Lab({ agents: 8, items: 100, random, boot: range(0, 40) })
    lab.run()
    allHaveAll(t, lab)
    t.true(sentBySeed(lab) <= 125, `the seed sent ${sentBySeed(lab)} for 100, lab ${random}`)
  }
})

test('a lab of any shape gets everything', t => {
  fc.assert(
    fc.property(shape, options => {
      const lab = new Lab(options)
      lab.run()
      allHaveAll(t, lab)
    }),
    { numRuns: 150 }
  )
})

test('with lines so slow that leases end and copies lapse, everybody still gets everything', t => {
  const slow = shape.map(options => ({ ...options, items: Math.min(options.items, 40) }))
  fc.assert(
    fc.property(slow, fc.integer({ min: 50, max: 700 }), (options, sendMs) => {
      const lab = new Lab({ ...options, sendMs })
      lab.run()
      allHaveAll(t, lab)
    }),
    { numRuns: 60 }
  )
})

test('agents that die on the way keep nobody from the rest', t => {
  const deaths = fc.array(fc.tuple(fc.nat(15), fc.integer({ min: 1, max: 3_000 })), {
    maxLength: 5
  })
  fc.assert(
    fc.property(shape, deaths, (options, dying) => {
      const lab = new Lab(options)
      for (const [n, ms] of dying) {
        const agent = lab.agents[n]
        if (agent !== undefined) lab.at(ms, () => lab.kill(agent))
      }
      lab.run()
      allHaveAll(t, lab)
    }),
    { numRuns: 100 }
  )
})

test('a seed that dies once every item is somewhere is not needed any more', t => {
  fc.assert(
    fc.property(shape, options => {
      const lab = new Lab(options)
      const watch = (): void => {
        const somewhere = new Set(lab.agents.flatMap(agent => [...agent.held]))
        if (somewhere.size === options.items) lab.kill(lab.seed)
        else lab.at(5, watch)
      }
      // By then everybody has joined, and knows its neighbours.
      lab.at(60, watch)
      lab.run()
      t.true(lab.seed.dead || lab.doneAt.size === options.agents)
      allHaveAll(t, lab)
    }),
    { numRuns: 100 }
  )
})

test('the same number gives the same run', t => {
  const run = (random: number): [string, number][] => {
    const lab = new Lab({ agents: 6, items: 50, random, boot: range(0, 10) })
    lab.run()
    return [...lab.doneAt]
  }
  t.deepEqual(run(7), run(7))
  t.notDeepEqual(run(7), run(8))
})
