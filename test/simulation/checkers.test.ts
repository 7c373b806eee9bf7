import test from 'ava'
import type { ServeDecision, Want } from '../../src/base/index.ts'
import type { Fetching } from '../../src/scheduler/index.ts'
import type { Rule } from './checkers.ts'
import type { LabOptions } from './lab-options.ts'
import type { LabResult } from './lab-result.ts'
import { defaultOptions } from './options.ts'
import { smallImage } from './sim-image.ts'
import type { Policy } from './sim-node.ts'
import { Simulation } from './simulation.ts'
import type { Sabotage } from './world.ts'

// A checker that cannot fail is a defect: each is given a lab that breaks its rule, and the same lab
// with the product's own rules, in which nothing is to be found.

const image = smallImage(120, 50_000, 5)
const small: LabOptions = { ...defaultOptions, agents: 8, endMs: 20_000 }

function run(options: Partial<LabOptions>, sabotage?: Sabotage): LabResult {
  const lab = { ...small, ...options, ...(sabotage === undefined ? {} : { sabotage }) }
  return new Simulation(lab, image).run()
}

const caught = test.macro({
  exec(t, rule: Rule, options: Partial<LabOptions>, sabotage: Sabotage) {
    t.deepEqual(run(options).violations, [])
    const broken = run(options, sabotage)
    t.true(
      broken.violations.some(violation => violation.rule === rule),
      JSON.stringify(broken.violations)
    )
  },
  title: (_: string | undefined, rule: Rule) => `${rule} is noticed when it is broken`
})

/** The real thing but for what is named; its private fields need it to be `this` for the rest. */
function but<T extends object>(real: T, changed: Partial<T>): T {
  return new Proxy(real, {
    get: (target, name) => {
      const own: unknown = Reflect.get(Object.hasOwn(changed, name) ? changed : target, name)
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    }
  })
}

/** A node that decides by `decide`, in a role. */
function deciding(
  role: 'seed' | 'agent',
  decide: (want: Want) => ServeDecision
): NonNullable<Sabotage['serving']> {
  return (real, of): Policy => (of === role ? but(real, { decide }) : real)
}

test(
  'completes',
  caught,
  'completes',
  { workload: 'copy' },
  {
    fetching: real =>
      but<Fetching>(real, {
        apply: (event, now) =>
          real
            .apply(event, now)
            .filter(action => action.type !== 'more' && !('item' in action && action.item === 5))
      })
  }
)

test(
  'urgent first',
  caught,
  'urgent-first',
  { workload: 'replay' },
  {
    classSeen: requestClass => (requestClass === 'urgent' ? 'background' : 'urgent')
  }
)

let asked = 0
test(
  'no cycle',
  caught,
  'no-cycle',
  { workload: 'replay', background: 0 },
  {
    // Sent to anybody, even to one that waits for the asker …
    serving: deciding('seed', ({ peer }) => {
      asked += 1
      const other = `a${asked % small.agents}`
      return { kind: 'redirect', to: [other === peer ? `a${(asked + 1) % small.agents}` : other] }
    }),
    // … who promises what nobody has promised to it.
    fetching: real =>
      but<Fetching>(real, {
        standing: item => (real.standing(item) === 'absent' ? 'absent' : 'promised')
      })
  }
)

test(
  'seed bounded',
  caught,
  'seed-bounded',
  { workload: 'replay', background: 0, seedCopiesMax: 1 },
  { serving: deciding('seed', () => ({ kind: 'send' })) }
)

test(
  'not forever',
  caught,
  'not-forever',
  { workload: 'copy' },
  {
    serving: deciding('agent', () => ({ kind: 'refuse', reason: 'not-held' })),
    fetching: real =>
      but<Fetching>(real, {
        apply: (event, now) => {
          if (event.type !== 'refused' || event.reason !== 'not-held') return real.apply(event, now)
          const { peer, item } = event
          return [{ type: 'request', peer, item, class: 'background', insist: false }]
        }
      })
  }
)

test(
  'served soon',
  caught,
  'served-soon',
  { workload: 'copy', mutes: 2 },
  {
    // Without its clock it never notices that a request stands still.
    fetching: real =>
      but<Fetching>(real, {
        apply: (event, now) => (event.type === 'tick' ? [] : real.apply(event, now))
      })
  }
)
