import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Ticking } from '../../src/agent/ticking.ts'

test('ticks come again and again, and one more when it is asked for, until it is stopped', async t => {
  let ticks = 0
  const ticking = new Ticking(() => (ticks += 1))
  ticking.after(0)
  while (ticks < 4) await sleep(10)
  ticking.after(50)
  ticking.stop()
  const before = ticks
  await sleep(300)
  t.is(ticks, before)
})
