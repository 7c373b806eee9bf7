import test from 'ava'
import { measuredBy } from '../../bench/nbd/fio.ts'
import { markdownOf, rowsOf, type Sample } from '../../bench/nbd/report.ts'
import { workloads } from '../../bench/nbd/workloads.ts'

const [first, , third] = workloads
const name = first?.name ?? ''
const sample = (contender: Sample['contender'], rate: number, loopP99Ms?: number): Sample => ({
  workload: name,
  contender,
  rate,
  p99Us: 100,
  loopP99Ms
})

test('a ratio is the median of those of each round, not that of the medians', t => {
  const samples = [
    sample('bootswarm', 100, 1),
    sample('nbdkit', 50),
    sample('bootswarm', 10, 9),
    sample('nbdkit', 20),
    sample('bootswarm', 30, 2),
    sample('nbdkit', 30)
  ]
  const [row] = rowsOf(samples, workloads.slice(0, 1))
  t.is(row?.ratio, 1)
  t.is(row?.loopP99Ms, 9)
  t.deepEqual(row?.rates, { bootswarm: 30, nbdkit: 30 })
  t.true(row?.met)
  t.regex(markdownOf(row === undefined ? [] : [row]), /\| 1\.00 \| 0\.95 \| 9\.0 ms \|/)
})

test('a figure that is not reached is called missed', t => {
  const rows = rowsOf([sample('bootswarm', 9), sample('nbdkit', 10)], workloads.slice(0, 1))
  t.regex(markdownOf(rows), /0\.90 \*\*missed\*\*/)
})

test('fio: what it prints before its report is skipped, and a failed job is an error', t => {
  const side = {
    iops: 5,
    bw_bytes: 2e6,
    total_ios: 1,
    clat_ns: { percentile: { '99.000000': 7000 } }
  }
  const report = (error: number): string =>
    `note\n${JSON.stringify({ jobs: [{ error, read: side, write: { ...side, total_ios: 0 } }] })}`
  if (first === undefined || third === undefined) throw new Error('no workloads')
  t.deepEqual(measuredBy(report(0), first), { rate: 2, p99Us: 7 })
  t.deepEqual(measuredBy(report(0), third), { rate: 5, p99Us: 7 })
  t.throws(() => measuredBy(report(5), first))
})
