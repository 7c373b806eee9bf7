import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { BackgroundPace, MachineIo, type BackgroundRates } from '../../src/disk/background-pace.ts'
import { HandTimers } from '../helpers/hand-timers.ts'

const second = 1_000

/** How long the job takes by these timers, to the millisecond. */
async function timeOf(timers: HandTimers, job: () => Promise<unknown>): Promise<number> {
  const start = timers.now()
  let isOver = false
  const over = job().then(() => (isOver = true))
  await setImmediate()
  while (!isOver) {
    timers.pass(1)
    await setImmediate()
  }
  await over
  return timers.now() - start
}

/** What two turns of so many bytes take while the machine has waited for the disk all the time. */
async function waitOf(bytes: number, rates: BackgroundRates): Promise<number> {
  const timers = new HandTimers()
  const io = new MachineIo(timers)
  const answer = Promise.withResolvers<void>()
  const reading = io.run(() => answer.promise)
  timers.pass(limits.machineWaitsMs + 1)
  const pace = new BackgroundPace(timers, io, rates)
  await pace.turn(bytes)
  const waited = await timeOf(timers, () => pace.turn(bytes))
  answer.resolve()
  await reading
  return waited
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

/** How long so many turns of 128 KiB take when each has cost this much processor time. */
async function turnsOf(count: number, costMs: number, isContended: boolean): Promise<number> {
  const timers = new HandTimers()
  const processor = { isContended, ownMs: 0 }
  const pace = new BackgroundPace(timers, new MachineIo(timers), {}, processor)
  for (let turn = 0; turn < count; turn += 1) {
    processor.ownMs += costMs
    timers.pass(costMs)
    await timeOf(timers, () => pace.turn(128 * 1024))
  }
  return timers.now()
}

test('while others want the processor the background takes its share of it', async t => {
  t.is(await turnsOf(20, 2, false), 40)
  const spent = await turnsOf(20, 2, true)
  // The first turn has nothing before it, and the last nothing behind it.
  const shared = (19 * 2) / limits.backgroundProcessorShare
  t.true(Math.abs(spent - shared) < shared / 10, String(spent))
})

test('however dear a chunk is, the floor remains', async t => {
  const spent = await turnsOf(10, 100, true)
  t.true(spent < (10 * second) / 8 + 10 * 100, String(spent))
})

test('those who wait come in their order; who is waited for comes at once, who is aborted never', async t => {
  const timers = new HandTimers()
  const rate = 128 * 1024
  const pace = new BackgroundPace(timers, new MachineIo(timers), { rate })
  await pace.turn(rate)
  const came: string[] = []
  const awaited = new Set<string>()
  const aborting = new AbortController()
  const comes = async (name: string, signal?: AbortSignal): Promise<void> => {
    await pace.turn(rate, signal, () => awaited.has(name))
    came.push(name)
  }
  const coming = [comes('first'), comes('second'), comes('third')]
  const aborted = comes('aborted', aborting.signal)
  await setImmediate()
  awaited.add('third')
  pace.hurry()
  aborting.abort(new Error('no more'))
  await t.throwsAsync(aborted, { message: 'no more' })
  await setImmediate()
  t.deepEqual(came, ['third'])
  // The first in line, and what was let go before it, have a second each.
  await timeOf(timers, () => Promise.all(coming))
  t.deepEqual(came, ['third', 'first', 'second'])
  t.is(timers.now(), 3 * second)
})

test('beside a machine that uses its disk they go several at once', async t => {
  const timers = new HandTimers()
  const io = new MachineIo(timers)
  const bytes = limits.backgroundBurstBytes / 4
  const pace = new BackgroundPace(timers, io, { rate: 4 * bytes })
  const came: number[] = []
  await pace.turn(bytes)
  const coming = Array.from({ length: 10 }, async () => {
    await pace.turn(bytes)
    came.push(timers.now())
  })
  await timeOf(timers, () => {
    // It is never idle.
    const again = (): void => {
      io.touched()
      if (came.length < 10) timers.after(1, again)
    }
    again()
    return Promise.all(coming)
  })
  const bursts = [...new Set(came)].map(at => came.filter(each => each === at).length)
  t.deepEqual(bursts, [4, 4, 2])
  t.is(came.at(-1), 2_250, 'at the rate all the same')
})
