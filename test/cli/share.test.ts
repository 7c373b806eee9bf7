import test from 'ava'
import { shareMsOf } from '../../src/cli/share.ts'
import { throwsWith } from '../helpers/errors.ts'

test('for how long to share: for ever, not at all, or so many minutes', t => {
  t.is(shareMsOf('until-stopped'), Infinity)
  t.is(shareMsOf('never'), 0)
  t.is(shareMsOf('90'), 90 * 60_000)
  for (const text of ['', '0', '-1', '1.5', '1h', '1000000', 'always']) {
    throwsWith(t, 'ERR_USAGE', () => shareMsOf(text))
  }
})
