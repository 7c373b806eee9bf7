import test from 'ava'
import { parseOptions } from '../../bench/lab/options.ts'

test('without options the whole lab of the issue runs', t => {
  const options = parseOptions([])
  t.deepEqual(options.machines, [1, 2, 16])
  t.is(options.rate, '40mbit')
  t.is(options.seedRate, '40mbit')
  t.deepEqual(options.workloads, ['replay', 'copy'])
  t.is(options.contenders.length, 4)
  t.true(options.compare)
})

test('arguments for agents are handed on as they are', t => {
  const options = parseOptions([
    '--agent-arg=--no-redirect',
    '--agent-arg',
    'x',
    '--seed-rate',
    '1gbit'
  ])
  t.deepEqual(options.agentArgs, ['--no-redirect', 'x'])
  t.is(options.seedRate, '1gbit')
})

test('a share of a profile may be learned first', t => {
  t.deepEqual(parseOptions([]).profiles, [undefined])
  t.deepEqual(parseOptions(['--profile', 'none,1,0.8']).profiles, [undefined, 1, 0.8])
})

test('what makes no sense is refused', t => {
  const wrong = [
    ['--machines', '0'],
    ['--machines', '1,x'],
    ['--rate', '40'],
    ['--contenders', 'rsync'],
    ['--workload', 'all'],
    ['--kill-seed-at', '-1'],
    ['--profile', '2'],
    ['--timeout', 'soon'],
    ['--unknown'],
    ['positional']
  ]
  for (const args of wrong) t.throws(() => parseOptions(args), undefined, args.join(' '))
})
