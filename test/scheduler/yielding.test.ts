import test from 'ava'
import { Yielding } from '../../src/scheduler/yielding.ts'

/** Chunks of the background that move in the second from `fromMs`, when somebody reads all the time. */
function movedIn(seconds: number): number[] {
  const yielding = new Yielding()
  const moved = Array<number>(seconds).fill(0)
  for (let now = 0; now < seconds * 1_000; now += 5) {
    yielding.urgent(now)
    if (yielding.yields(now)) continue
    yielding.began(now)
    moved[Math.floor(now / 1_000)] = (moved[Math.floor(now / 1_000)] ?? 0) + 1
  }
  return moved
}

test('a boot leaves the background one chunk a second', t => {
  t.deepEqual(movedIn(30), Array<number>(30).fill(1))
})

test('a machine that goes on reading gets its background at a megabyte a second in the end', t => {
  const moved = movedIn(90)
  for (const [second, count] of moved.entries()) {
    t.true(count <= 8)
    if (second > 0) t.true(count >= (moved[second - 1] ?? 0) - 1, 'it only ever rises')
  }
  t.is(moved.at(-1), 8)
  // A chunk of 128 KiB each.
  t.true(moved.slice(60).every(count => count * 128 * 1024 > 900_000))
})

test('who pauses and reads again is booting again', t => {
  const yielding = new Yielding()
  for (let now = 0; now < 90_000; now += 100) yielding.urgent(now)
  yielding.began(90_000)
  yielding.urgent(90_000)
  t.false(yielding.yields(90_200))
  yielding.urgent(95_000)
  yielding.began(95_000)
  t.true(yielding.yields(95_200))
})

test('when nobody reads, nothing is held back', t => {
  const yielding = new Yielding()
  yielding.began(0)
  t.false(yielding.yields(0))
  yielding.urgent(0)
  t.true(yielding.yields(299))
  t.false(yielding.yields(300))
  t.false(yielding.isReading(300))
})
