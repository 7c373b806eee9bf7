import { percentile } from '../lab/statistics.ts'
import type { ContenderName, Workload } from './workloads.ts'

export interface Sample {
  readonly workload: string
  readonly contender: ContenderName
  readonly rate: number
  readonly p99Us: number
  readonly loopP99Ms: number | undefined
}

export interface Row {
  readonly workload: string
  readonly unit: string
  /** Medians over the rounds. */
  readonly rates: Readonly<Record<string, number>>
  readonly p99Us: Readonly<Record<string, number>>
  /** Median over the rounds of bootswarm's rate over nbdkit's in the same round. */
  readonly ratio: number
  readonly target: number
  readonly met: boolean
  /** The worst round's 99th percentile of the event loop's delay. */
  readonly loopP99Ms: number
}

/** Samples are in rounds: the n-th of one contender was taken beside the n-th of another. */
export function rowsOf(samples: readonly Sample[], workloads: readonly Workload[]): Row[] {
  return workloads.map(({ name, unit, target }) => {
    const of = (contender: string): Sample[] =>
      samples.filter(sample => sample.workload === name && sample.contender === contender)
    const contenders = [...new Set(samples.map(({ contender }) => contender))]
    const medians = (key: 'rate' | 'p99Us'): Record<string, number> =>
      Object.fromEntries(
        contenders.map(contender => [contender, median(of(contender).map(sample => sample[key]))])
      )
    const others = of('nbdkit')
    const ratio = median(of('bootswarm').map(({ rate }, at) => rate / (others[at]?.rate ?? NaN)))
    const loopP99Ms = Math.max(...of('bootswarm').map(({ loopP99Ms: late }) => late ?? 0))
    const met = ratio >= target
    return {
      workload: name,
      unit,
      rates: medians('rate'),
      p99Us: medians('p99Us'),
      ratio,
      target,
      met,
      loopP99Ms
    }
  })
}

export function markdownOf(rows: readonly Row[]): string {
  const head = [
    '| workload | bootswarm | nbdkit | qemu-nbd | over nbdkit | wanted | loop p99 |',
    '| --- | --- | --- | --- | --- | --- | --- |'
  ]
  const lines = rows.map(({ workload, unit, rates, p99Us, ratio, target, met, loopP99Ms }) => {
    const cell = (name: string): string =>
      `${shown(rates[name] ?? 0, unit)} (${(p99Us[name] ?? 0).toFixed(0)} µs)`
    const cells = ['bootswarm', 'nbdkit', 'qemu-nbd'].map(cell).join(' | ')
    const verdict = `${ratio.toFixed(2)}${met ? '' : ' **missed**'}`
    return `| ${workload} | ${cells} | ${verdict} | ${target} | ${loopP99Ms.toFixed(1)} ms |`
  })
  return [...head, ...lines].join('\n')
}

function shown(rate: number, unit: string): string {
  return unit === 'IOPS' ? `${(rate / 1000).toFixed(1)}k` : `${rate.toFixed(0)} MB/s`
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
