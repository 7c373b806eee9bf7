import test from 'ava'
import { readTuning } from '../../src/cli/tuning.ts'
import { throwsWith } from '../helpers/errors.ts'

test('mechanisms are switched off by name, several with commas between', t => {
  t.deepEqual(readTuning({}), { mechanisms: {} })
  t.deepEqual(readTuning({ without: 'chains,deferral', fallbackMs: '100' }), {
    mechanisms: { chains: false, deferral: false },
    fallbackMs: 100
  })
})

test('names and times that cannot be are usage errors', t => {
  throwsWith(t, 'ERR_USAGE', () => readTuning({ without: 'magic' }))
  for (const fallbackMs of ['', 'soon', '0', '1e9', '10.5']) {
    throwsWith(t, 'ERR_USAGE', () => readTuning({ fallbackMs }))
  }
})
