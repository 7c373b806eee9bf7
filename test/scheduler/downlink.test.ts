import test from 'ava'
import { Downlink } from '../../src/scheduler/downlink.ts'

const frame = 64 * 1024

/** A line that brings a frame in so many ms. */
function lineOf(frameMs: number): Downlink {
  const line = new Downlink()
  for (let n = 0; n < 300; n += 1) line.moved(frame, n * frameMs)
  return line
}

test('before anything has come, a little is let onto the line, and nothing is known of its time', t => {
  const line = new Downlink()
  t.is(line.bytesPerMs, 0)
  t.is(line.drainMs({ count: 5, received: 0 }), 0)
  t.true(line.frameMs > 0)
  t.true(line.hasRoom({ count: 1, received: 0 }))
  t.false(line.hasRoom({ count: 2, received: 0 }))
})

test('what is on its way takes the time that the line was seen to take', t => {
  const line = lineOf(50)
  t.true(Math.abs(line.frameMs - 50) < 5, `${line.frameMs}`)
  t.true(Math.abs(line.drainMs({ count: 4, received: frame }) - 150) < 15)
  t.is(line.drainMs({ count: 1, received: 2 * frame }), 0)
})

test('a quick line has room for more at a time, and for more of smaller frames', t => {
  const most = (line: Downlink): number => {
    let count = 0
    while (line.hasRoom({ count, received: 0 })) count += 1
    return count
  }
  const quick = lineOf(1)
  t.true(most(quick) > most(lineOf(50)))
  const before = most(quick)
  for (let n = 0; n < 50; n += 1) quick.came(frame / 4)
  t.true(most(quick) > 3 * before)
})
