import test from 'ava'
import { parseTtl } from '../../src/cli/ticket.ts'
import { throwsWith } from '../helpers/errors.ts'

test('times to live', t => {
  t.is(parseTtl('90s'), 90_000)
  t.is(parseTtl('30m'), 1_800_000)
  t.is(parseTtl('24h'), 86_400_000)
  t.is(parseTtl('7d'), 604_800_000)
  for (const text of ['', '24', 'h', '0s', '-1h', '1.5h', '24 h', '1w', '24h ', '4000d', '1e3s']) {
    throwsWith(t, 'ERR_USAGE', () => parseTtl(text))
  }
})
