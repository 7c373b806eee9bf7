import { percentile, rounded, sum } from '../lab/statistics.ts'
import { measurePair, type Measured } from './pair.ts'

// What a second process of a seed is worth: on each core one process that sends and one that receives from it,
// on one core, then on two at once, in turns. docs/bench-wire.md.

const repetitions = Number(process.argv[2] ?? 5)
const task = { transport: 'tls', frames: 'plain', depth: 16, seconds: 2 } as const
const cores = [0, 1]

const alone: Measured[] = []
const together: Measured[][] = []
for (let n = 0; n < repetitions; n += 1) {
  alone.push(await measurePair(task, { core: cores[n % cores.length] ?? 0 }))
  together.push(await Promise.all(cores.map(core => measurePair(task, { core }))))
}

const rate = ({ receiver, seconds }: Measured): number => receiver.frameBytes / 1e6 / seconds
const cost = ({ sender }: Measured): number => (sender.cpuSeconds / sender.frameBytes) * 1e9

function figures(rates: readonly number[], costs: readonly number[]) {
  return {
    megabytesPerSecond: rounded(percentile(rates, 0.5), 0),
    senderSecondsPerGB: rounded(percentile(costs, 0.5), 2)
  }
}

const one = figures(alone.map(rate), alone.map(cost))
const two = figures(
  together.map(pairs => sum(pairs.map(rate))),
  together.flatMap(pairs => pairs.map(cost))
)
const ratio = rounded(two.megabytesPerSecond / one.megabytesPerSecond, 2)
console.log(JSON.stringify({ repetitions, one, two, ratio }))
