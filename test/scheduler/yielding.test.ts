import test from 'ava'
import { Yielding } from '../../src/scheduler/yielding.ts'

/** Chunks of the background that move in the second from `fromMs`, when somebody reads all the time. */
function movedIn(seconds: number): number[] {
  const yielding = new Yielding()
  const moved = Array<number>(seconds).fill(0)
  for (let now = 0; now < seconds * 1_000; now += 5) {
    yielding.urgent(now)
    if (yielding.yields(now, fastLine)) continue
    yielding.began(now)
    moved[Math.floor(now / 1_000)] = (moved[Math.floor(now / 1_000)] ?? 0) + 1
  }
  return moved
}

/** 1 Gbit/s, in bytes a ms. */
const fastLine = 125_000

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
  t.false(yielding.yields(90_200, fastLine))
  yielding.urgent(95_000)
  yielding.began(95_000)
  t.true(yielding.yields(95_200, fastLine))
})

test('when nobody reads, nothing is held back', t => {
  const yielding = new Yielding()
  yielding.began(0)
  t.false(yielding.yields(0, fastLine))
  yielding.urgent(0)
  t.true(yielding.yields(299, fastLine))
  t.false(yielding.yields(300, fastLine))
  t.false(yielding.isReading(300))
})

test('on a slow line the floor rises to a fifth of it, and never falls below a chunk a second', t => {
  const movedIn = (lineBytesPerMs: number): number => {
    const yielding = new Yielding()
    let moved = 0
    for (let now = 0; now < 100_000; now += 50) {
      yielding.urgent(now)
      if (yielding.yields(now, lineBytesPerMs)) continue
      yielding.began(now)
      if (now >= 90_000) moved += 1
    }
    return moved
  }
  t.true(movedIn(fastLine) >= 60)
  // 5 Mbit/s: a fifth of it are two frames a second.
  const slow = movedIn(625)
  t.true(slow >= 15 && slow <= 20, String(slow))
  t.is(movedIn(20), 10)
  t.is(movedIn(0), 10, 'a line that nothing is known of')
})
