import { nameWith } from './options.ts'
import type { ProbeSummary } from './probe-log.ts'
import { counts, outcomeOf, waitingSeconds, type Yardstick } from './report.ts'
import type { Outcome } from './run.ts'

export interface Verdict {
  readonly what: string
  readonly value: number
  readonly target: number
  readonly isMet: boolean
  /** False when a figure that it rests on was measured on processors without time to spare. */
  readonly counts: boolean
}

export interface Goals extends Yardstick {
  readonly bootSetBytes: number
  readonly isSeedFaster: boolean
}

/** What the swarm is to reach (docs/bench-lab.md), as far as these runs can tell. */
export function verdicts(outcomes: readonly Outcome[], goals: Goals): Verdict[] {
  return [
    ...replayVerdicts(outcomes, goals),
    ...profileVerdicts(outcomes, goals),
    ...copyVerdicts(outcomes, goals)
  ]
}

function replayVerdicts(outcomes: readonly Outcome[], { bootSetBytes }: Goals): Verdict[] {
  const own = (machines: number): Outcome | undefined =>
    outcomeOf(outcomes, 'bootswarm', 'replay', machines)
  const nbdkit = (machines: number): Outcome | undefined =>
    outcomeOf(outcomes, 'nbdkit', 'replay', machines)
  const sixteen = own(16)
  const probe = sixteen?.facts.seedProbe as ProbeSummary | undefined
  return [
    ...ratio('replay N=1 against nbdkit', own(1), nbdkit(1), 1),
    ...ratio('replay N=16 against own N=1', sixteen, own(1), 1.5),
    ...ratio('replay N=16 against nbdkit at 16', sixteen, nbdkit(16), 1 / 8),
    ...(sixteen === undefined || probe === undefined
      ? []
      : [
          atMost(
            'replay N=16: boot set sent by the seed, in copies',
            probe.bootSetBytesSent / bootSetBytes,
            1.5,
            [sixteen]
          ),
          atMost(
            'replay N=16: messages at the seed, a second a machine',
            probe.messagesPerSecondMax / 16,
            30,
            [sixteen]
          )
        ])
  ]
}

/** Boots with what one earlier boot taught the seed, and with a lesson of which a fifth is wrong. */
function profileVerdicts(outcomes: readonly Outcome[], { bootSetBytes }: Goals): Verdict[] {
  const at = (machines: number, profile?: number): Outcome | undefined =>
    outcomeOf(outcomes, nameWith(profile), 'replay', machines)
  const nbdkit = outcomeOf(outcomes, 'nbdkit', 'replay', 1)
  const sixteen = at(16, 1)
  const probe = sixteen?.facts.seedProbe as ProbeSummary | undefined
  return [
    ...ratio('profile, N=1 against nbdkit', at(1, 1), nbdkit, 0.65),
    ...ratio('profile, N=16 against own N=1', sixteen, at(1, 1), 1.25),
    ...ratio('a fifth of the profile wrong, N=16 against own N=1', at(16, 0.8), at(1, 0.8), 1.4),
    ...ratio('a fifth of the profile wrong, N=1 against none', at(1, 0.8), at(1), 1),
    ...(sixteen === undefined || probe === undefined
      ? []
      : [
          atMost(
            'profile, N=16: boot set sent by the seed, in copies',
            probe.bootSetBytesSent / bootSetBytes,
            1.3,
            [sixteen]
          )
        ]),
    ...[1, 16].flatMap(machines => {
      const [cold, profiled] = [at(machines), at(machines, 1)]
      if (cold === undefined || profiled === undefined) return []
      const share = waitingSeconds(profiled) / waitingSeconds(cold)
      return [atMost(`profile, N=${machines}: waiting against none`, share, 0.5, [cold, profiled])]
    })
  ]
}

function copyVerdicts(outcomes: readonly Outcome[], goals: Goals): Verdict[] {
  const { storedBytes, bytesPerSecond, isSeedFaster } = goals
  const own = (machines: number): Outcome | undefined =>
    outcomeOf(outcomes, 'bootswarm', 'copy', machines)
  const sixteen = own(16)
  const probe = sixteen?.facts.seedProbe as ProbeSummary | undefined
  return [
    ...[1, 2].flatMap(machines =>
      ratio(
        `copy N=${machines} against HTTP of the stored bytes to one`,
        own(machines),
        outcomeOf(outcomes, 'http', 'copy', 1),
        1.05
      )
    ),
    ...(sixteen === undefined
      ? []
      : [
          atMost(
            'copy N=16 against the stored bytes over one link',
            sixteen.seconds / (storedBytes / bytesPerSecond),
            1.15,
            [sixteen]
          ),
          atMost(
            'copy N=16: seed upload, in copies',
            sixteen.seedTraffic.sentBytes / storedBytes,
            isSeedFaster ? 1.3 : 1.15,
            [sixteen]
          )
        ]),
    ...(sixteen === undefined || probe === undefined
      ? []
      : [
          atMost(
            'copy N=16: messages at the seed, a second a machine',
            probe.messagesPerSecondMax / 16,
            30,
            [sixteen]
          )
        ])
  ]
}

function ratio(
  what: string,
  own: Outcome | undefined,
  other: Outcome | undefined,
  target: number
): Verdict[] {
  if (own === undefined || other === undefined) return []
  return [atMost(what, own.seconds / other.seconds, target, [own, other])]
}

function atMost(what: string, value: number, target: number, from: readonly Outcome[]): Verdict {
  return { what, value, target, isMet: value <= target, counts: from.every(counts) }
}

export function verdictLine({ what, value, target, isMet, counts: doesCount }: Verdict): string {
  const mark = isMet ? 'met ' : 'MISSED'
  const doubt = doesCount ? '' : ' (does not count: processors not 10 % idle)'
  return `${mark.padEnd(6)} ${what}: ${value.toFixed(2)}, at most ${target.toFixed(2)}${doubt}`
}
