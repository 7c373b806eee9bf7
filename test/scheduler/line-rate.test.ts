import test from 'ava'
import { LineRate } from '../../src/scheduler/line-rate.ts'

test('a slow line is measured though its segments come far apart', t => {
  const rate = new LineRate(0.97)
  // 16 KiB at 1 Mbit/s take 131 ms.
  for (let n = 0; n < 20; n += 1) rate.moved(16_384, n * 131)
  t.true(rate.bytesPerMs > 100 && rate.bytesPerMs < 200, String(rate.bytesPerMs))
})

test('an idle line says nothing about its rate, and a slower one is learned in time', t => {
  const rate = new LineRate(0.97)
  for (let n = 0; n < 50; n += 1) rate.moved(50_000, n * 10)
  const fast = rate.bytesPerMs
  t.true(fast > 4_000)
  rate.moved(10, 60_000)
  t.is(rate.bytesPerMs, fast)
  for (let n = 0; n < 300; n += 1) rate.moved(10_000, 60_000 + n * 100)
  t.true(rate.bytesPerMs < 200, String(rate.bytesPerMs))
})
