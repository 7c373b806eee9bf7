import test from 'ava'
import { parseHostPort } from '../../src/cli/host-port.ts'
import { throwsWith } from '../helpers/errors.ts'

test('hosts and ports', t => {
  t.deepEqual(parseHostPort('--http', '127.0.0.1:4911'), { host: '127.0.0.1', port: 4911 })
  t.deepEqual(parseHostPort('--http', 'seed.lab:0'), { host: 'seed.lab', port: 0 })
  t.deepEqual(parseHostPort('--http', '[::1]:65535'), { host: '::1', port: 65_535 })
  for (const text of ['', '4911', ':4911', 'host', 'host:', 'host:http', 'host:65536', '::1:80']) {
    const error = throwsWith(t, 'ERR_USAGE', () => parseHostPort('--http', text))
    t.true(error.message.startsWith('--http'))
  }
})
