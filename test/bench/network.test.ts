import test from 'ava'
import { bitsPerSecond, payloadBytesPerSecond } from '../../bench/lab/network.ts'

test('rates are read as tc reads them', t => {
  t.is(bitsPerSecond('500kbit'), 500_000)
  t.is(bitsPerSecond('40mbit'), 40_000_000)
  t.is(bitsPerSecond('2.5gbit'), 2_500_000_000)
  for (const rate of ['40', '40mb', '40 mbit', '-1mbit', 'mbit', '']) {
    t.throws(() => bitsPerSecond(rate), undefined, rate)
  }
})

test('40 Mbit/s take 4.78 MB/s of payload', t => {
  t.is(payloadBytesPerSecond('40mbit').toPrecision(3), '4.78e+6')
})
