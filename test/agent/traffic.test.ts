import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Traffic } from '../../src/agent/traffic.ts'

test('payload is counted by where it came from', t => {
  const traffic = new Traffic()
  traffic.received('seed', 100)
  traffic.received('agent', 20)
  traffic.received('seed', 3)
  t.like(traffic, { bytesFromSeed: 103, bytesFromPeers: 20, bytesLocal: 0 })
})

test('the rate is that of the time since it was last asked for', async t => {
  const traffic = new Traffic()
  traffic.received('seed', 1_000_000)
  await sleep(250)
  const rate = traffic.takeRate()
  t.true(rate > 0 && rate <= 1_000_000 / 0.2, `${rate}`)
  t.is(traffic.takeRate(), rate, 'asked again at once it says the same')
  await sleep(250)
  t.is(traffic.takeRate(), 0)
})
