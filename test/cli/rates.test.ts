import test from 'ava'
import { diskRateOf, rateOf, readRates } from '../../src/cli/rates.ts'
import { throwsWith } from '../helpers/errors.ts'

test('a rate is bytes a second, with decimal or binary units', t => {
  const rates = { '64000': 64_000, '500kB': 500_000, '20MB': 20e6, '1.5 MB': 1.5e6, '1g': 1e9 }
  for (const [text, rate] of Object.entries({ ...rates, '20MiB': 20 * 2 ** 20, '100K': 100_000 })) {
    t.is(rateOf('--upload-rate', text), rate, text)
  }
})

test('what is no rate, or too small to live on, is refused by the name of its option', t => {
  for (const text of ['', '0', '10kB', 'fast', '-5MB', '5TB', '20MB/s', 'iB', '1e9']) {
    const error = throwsWith(t, 'ERR_USAGE', () => readRates({ downloadRate: text }))
    t.regex(error.message, /^--download-rate/, text)
  }
  t.deepEqual(readRates({}), { uploadRate: undefined, downloadRate: undefined })
})

test('the rate of the background is written as the others, and may be as low as one likes', t => {
  t.is(diskRateOf('--background-rate', undefined), undefined)
  for (const [text, rate] of Object.entries({
    '20M': 20e6,
    '20MiB': 20 * 2 ** 20,
    '32K': 32_000
  })) {
    t.is(diskRateOf('--background-rate', text), rate, text)
  }
  const error = throwsWith(t, 'ERR_USAGE', () => diskRateOf('--background-rate', '0'))
  t.regex(error.message, /^--background-rate/)
})
