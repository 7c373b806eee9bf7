import test from 'ava'
import { labName, makerOf } from '../../bench/lab/leftovers.ts'

test('a name tells which process made it, and no other name does', t => {
  t.is(makerOf(labName('m1')), process.pid)
  for (const name of [
    'bootswarm-lab-',
    'bootswarm-lab-x-seed',
    'mine-bootswarm-lab-1-seed',
    'seed'
  ]) {
    t.is(makerOf(name), undefined, name)
  }
})
