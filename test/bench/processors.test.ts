import test from 'ava'
import {
  parseProcessorTimes,
  parseProcessTimes,
  processorShares,
  processTimes
} from '../../bench/lab/processors.ts'

const before = 'cpu  100 10 50 1000 20 5 15 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'
const after = 'cpu  140 20 70 1100 40 5 25 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'

test('the shares of the processors between two moments add up to one', t => {
  const shares = processorShares(parseProcessorTimes(before), parseProcessorTimes(after))
  t.deepEqual(shares, { idle: 0.6, user: 0.25, kernel: 0.1, interrupts: 0.05, stolen: 0 })
})

test('no time at all is no division by zero', t => {
  const now = parseProcessorTimes(before)
  t.is(processorShares(now, now).idle, 0)
})

test('what is no /proc/stat is refused', t => {
  t.throws(() => parseProcessorTimes('intr 1 2 3\n'))
})

test('the times of a process are found behind a name with brackets and spaces', t => {
  const fields = 'S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 11 0'
  t.deepEqual(parseProcessTimes(`42 (a) b) ${fields}\n`), { seconds: 3, state: 'S' })
  t.throws(() => parseProcessTimes('42 (node)'))
})

test('a process that there is has times, one that there is not has none', t => {
  t.true((processTimes(process.pid)?.seconds ?? 0) > 0)
  t.is(processTimes(0x7fff_fff0), undefined)
})
