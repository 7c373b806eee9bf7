import test from 'ava'
import { verdictLine, verdicts } from '../../bench/lab/targets.ts'
import { outcome } from './samples.ts'

const goals = { storedBytes: 100, bytesPerSecond: 10, bootSetBytes: 10, isSeedFaster: false }
const probe = { bootSetBytesSent: 12, messagesPerSecondMax: 320 }

const runs = [
  outcome({ name: 'bootswarm', workload: 'replay', machines: 1, seconds: 4 }),
  outcome({ name: 'nbdkit', workload: 'replay', machines: 1, seconds: 8 }),
  outcome({ name: 'nbdkit', workload: 'replay', machines: 16, seconds: 80 }),
  outcome({
    name: 'bootswarm',
    workload: 'replay',
    machines: 16,
    seconds: 8,
    idle: 0.05,
    facts: { seedProbe: probe }
  }),
  outcome({ name: 'http', workload: 'copy', machines: 1, seconds: 10 }),
  outcome({ name: 'bootswarm', workload: 'copy', machines: 1, seconds: 10 }),
  outcome({ name: 'bootswarm', workload: 'copy', machines: 16, seconds: 11, uploadBytes: 120 })
]

test('each target is judged by the runs that it is about', t => {
  const found = verdicts(runs, goals).map(({ what, value, isMet }) => [what, value, isMet])
  t.deepEqual(found, [
    ['replay N=1 against nbdkit', 0.5, true],
    ['replay N=16 against own N=1', 2, false],
    ['replay N=16 against nbdkit at 16', 0.1, true],
    ['replay N=16: boot set sent by the seed, in copies', 1.2, true],
    ['replay N=16: messages at the seed, a second a machine', 20, true],
    ['copy N=1 against HTTP of the stored bytes to one', 1, true],
    ['copy N=16 against the stored bytes over one link', 1.1, true],
    ['copy N=16: seed upload, in copies', 1.2, false]
  ])
})

test('boots with a profile are judged by boots with the same one, and by cold ones', t => {
  const waiting = (seconds: number) => ({ replays: [{ waits: { seconds, reads: 9 } }] })
  const boot = (name: string, machines: number, seconds: number, waited: number) =>
    outcome({ name, workload: 'replay', machines, seconds, facts: waiting(waited) })
  const learned = [
    boot('nbdkit', 1, 8, 4),
    boot('bootswarm', 1, 6, 3),
    boot('bootswarm', 16, 7, 50),
    boot('bootswarm, profile 1', 1, 4, 1),
    boot('bootswarm, profile 1', 16, 6, 40),
    boot('bootswarm, profile 0.8', 1, 5, 2),
    boot('bootswarm, profile 0.8', 16, 6, 45)
  ]
  const found = verdicts(learned, goals).filter(({ what }) => what.includes('profile'))
  t.deepEqual(
    found.map(({ value, isMet }) => [Number(value.toFixed(2)), isMet]),
    [
      [0.5, true],
      [1.5, false],
      [1.2, true],
      [0.83, true],
      [0.33, true],
      [0.8, false]
    ]
  )
})

test('with a faster seed link the seed may send more', t => {
  const upload = verdicts(runs, { ...goals, isSeedFaster: true }).find(({ what }) =>
    what.includes('seed upload')
  )
  t.is(upload?.target, 1.3)
  t.true(upload?.isMet)
})

test('a verdict over busy processors does not count, and says so', t => {
  const [first, second] = verdicts(runs, goals)
  t.true(first?.counts)
  t.false(second?.counts)
  if (second !== undefined) t.regex(verdictLine(second), /^MISSED .*does not count/)
})

test('what was not run is not judged', t => {
  t.deepEqual(verdicts([], goals), [])
})
