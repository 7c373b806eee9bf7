import test from 'ava'
import { table } from '../../bench/lab/report.ts'
import { outcome } from './samples.ts'

const yardstick = { storedBytes: 100e6, bytesPerSecond: 10e6 }

test('a row compares with the own single machine, one link and one copy', t => {
  const runs = [
    outcome({ name: 'bootswarm', workload: 'copy', machines: 1, seconds: 10, uploadBytes: 100e6 }),
    outcome({
      name: 'bootswarm',
      workload: 'copy',
      machines: 2,
      seconds: 12,
      machineSeconds: [11, 12],
      uploadBytes: 150e6,
      idle: 0.09
    })
  ]
  const [head, first, second] = table(runs, yardstick).split('\n')
  const cells = (line: string | undefined): string[] => (line ?? '').split(/ {2,}/)
  t.is(cells(head).length, 12)
  t.deepEqual(cells(first).slice(3, 10), ['10.00', '10.00', '1.00', '1.00', '100.0', '1.00', '50'])
  t.deepEqual(cells(second).slice(3, 10), ['11.00', '12.00', '1.20', '1.20', '150.0', '1.50', '9'])
  t.is(cells(first).at(-1), 'yes')
  t.regex(cells(second).at(-1) ?? '', /^NO/)
})
