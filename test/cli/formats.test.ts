import test from 'ava'
import {
  formatBytes,
  formatDuration,
  formatTable,
  formatTime,
  parseBytes
} from '../../src/cli/formats.ts'
import { throwsWith } from '../helpers/errors.ts'

test('bytes have three digits at the most', t => {
  const cases = {
    0: '0 B',
    999: '999 B',
    1000: '1.0 KiB',
    131072: '128 KiB',
    1610612736: '1.5 GiB'
  }
  for (const [bytes, text] of Object.entries(cases)) t.is(formatBytes(Number(bytes)), text)
  t.is(formatBytes(2 ** 60), '1024 PiB')
})

test('durations are in the units that matter', t => {
  t.is(formatDuration(440), '0.4 s')
  t.is(formatDuration(59_400), '59 s')
  t.is(formatDuration(59_600), '1 min 0 s')
  t.is(formatDuration(7_800_000), '2 h 10 min')
})

test('a time is the local one, to the minute', t => {
  t.is(formatTime(new Date(2025, 0, 5, 4, 9).getTime()), '2025-01-05 04:09')
})

test('a table lines its columns up', t => {
  t.deepEqual(
    formatTable([
      ['A', 'B'],
      ['long', 'x'],
      ['', 'yz']
    ]),
    ['A     B', 'long  x', '      yz']
  )
})

test('bytes are read in the ways people write them', t => {
  const cases = {
    0: 0,
    131072: 131072,
    '128K': 131072,
    '128KiB': 131072,
    '4m': 4194304,
    '1 GB': 2 ** 30,
    '5b': 5
  }
  for (const [text, bytes] of Object.entries(cases)) t.is(parseBytes('--x', text), bytes, text)
  for (const text of ['', 'K', '-1', '1.5M', '1T', '128KK', '1e3', ' 1', '9'.repeat(20)]) {
    throwsWith(t, 'ERR_USAGE', () => parseBytes('--x', text))
  }
})
