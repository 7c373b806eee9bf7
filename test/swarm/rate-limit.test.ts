import test from 'ava'
import fc from 'fast-check'
import { RateLimit } from '../../src/swarm/rate-limit.ts'

test('over any time not more passes than the rate, a twentieth of a second and one piece', t => {
  const pieces = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 16_384 }), restMs: fc.nat({ max: 100 }) }),
    { minLength: 1, maxLength: 200 }
  )
  const rates = fc.integer({ min: 64_000, max: 1e9 })
  fc.assert(
    fc.property(rates, pieces, (rate, list) => {
      const limit = new RateLimit(rate)
      let now = 0
      let passed = 0
      for (const { bytes, restMs } of list) {
        now += restMs + limit.waitMs(now + restMs)
        limit.passed(bytes, now)
        passed += bytes
        t.true(passed <= (rate * (now + 50)) / 1000 + bytes + 1)
      }
    }),
    { numRuns: 200 }
  )
})

test('what always wants to pass gets the whole rate', t => {
  const limit = new RateLimit(1_000_000)
  let now = 0
  let passed = 0
  while (now < 10_000) {
    now += limit.waitMs(now)
    limit.passed(16_384, now)
    passed += 16_384
  }
  t.true(passed >= 10_000_000)
})
