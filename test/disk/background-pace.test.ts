import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { BackgroundPace, MachineIo, type BackgroundRates } from '../../src/disk/background-pace.ts'

const second = 1_000

/** What two turns of so many bytes take while the machine has waited for the disk all the time. */
async function waitOf(bytes: number, rates: BackgroundRates): Promise<number> {
  let now = 0
  const clock = { now: () => now }
  const io = new MachineIo(clock)
  const answer = Promise.withResolvers<void>()
  const reading = io.run(() => answer.promise)
  now += limits.machineWaitsMs + 1
  const pace = new BackgroundPace(clock, io, rates)
  await pace.turn(bytes)
  const start = now
  let isTurn = false
  const next = pace.turn(bytes).then(() => (isTurn = true))
  // It looks at the clock every few milliseconds of its own time.
  while (!isTurn) {
    await new Promise(resolve => setTimeout(resolve, 15))
    if (!isTurn) now += second / 4
  }
  await next
  answer.resolve()
  await reading
  return now - start
}

test('however long the machine waits, the background moves at the floor', async t => {
  t.is(await waitOf(limits.backgroundFloorBytes, {}), second)
  t.is(
    await waitOf(limits.backgroundFloorBytes, { floor: limits.backgroundFloorBytes / 2 }),
    2 * second
  )
  t.is(
    await waitOf(limits.backgroundFloorBytes, { floor: 4 * limits.backgroundFloorBytes }),
    second / 4
  )
})

test('a floor above the rate that is allowed does not raise it', async t => {
  const rate = limits.backgroundFloorBytes / 2
  t.is(await waitOf(limits.backgroundFloorBytes, { rate, floor: 2 * rate }), 2 * second)
})
