import test from 'ava'
import { ProcessorLoad, systemClock, type ProcessorTimes } from '../../src/base/index.ts'

/** What it says after others have used so much of so many processors for a second. */
function afterSecond(others: number, processors: number): boolean {
  let now = 0
  let times: ProcessorTimes | undefined = { othersMs: 5_000, processors }
  const load = new ProcessorLoad({ now: () => now }, () => times)
  now += 1_000
  times = { othersMs: 5_000 + others * 1_000, processors }
  return load.isContended
}

test('one processor is wanted when others have more than a little of it', t => {
  t.false(afterSecond(0, 1))
  t.false(afterSecond(0.2, 1))
  t.true(afterSecond(0.34, 1))
  t.true(afterSecond(0.9, 1))
})

test('of several processors one may be left over', t => {
  t.false(afterSecond(1, 2))
  t.false(afterSecond(3.1, 4))
  t.true(afterSecond(3.5, 4))
})

test('what it says holds for a while, and is forgotten when others stop', t => {
  let now = 0
  let othersMs = 0
  const load = new ProcessorLoad({ now: () => now }, () => ({ othersMs, processors: 1 }))
  now += 600
  othersMs += 600
  t.true(load.isContended)
  now += 100
  t.true(load.isContended)
  now += 600
  t.false(load.isContended)
})

test('where nobody can tell, nobody wants the processor', t => {
  let now = 0
  const load = new ProcessorLoad({ now: () => now }, () => undefined)
  now += 1_000
  t.false(load.isContended)
})

test("this machine's own times can be read", t => {
  const load = new ProcessorLoad(systemClock)
  t.true(load.ownMs > 0)
  t.is(typeof load.isContended, 'boolean')
})
