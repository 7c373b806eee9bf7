import test from 'ava'
import fc from 'fast-check'
import { percentile, summarize } from '../../bench/lab/statistics.ts'

test('a percentile is the value that so many do not exceed', t => {
  const values = [5, 1, 4, 2, 3]
  t.is(percentile(values, 0.5), 3)
  t.is(percentile(values, 0.8), 4)
  t.is(percentile(values, 1), 5)
  t.is(percentile(values, 0), 1)
  t.is(percentile([], 0.5), 0)
  t.deepEqual(values, [5, 1, 4, 2, 3])
})

test('a summary grows from the median to the maximum, and all of it was measured', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1 }), values => {
      const { count, p50, p95, p99, max } = summarize(values)
      t.is(count, values.length)
      t.is(max, Math.max(...values))
      t.true(p50 <= p95 && p95 <= p99 && p99 <= max)
      for (const value of [p50, p95, p99]) t.true(values.includes(value))
    })
  )
})
