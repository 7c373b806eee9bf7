import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { SendWindow } from '../../src/scheduler/send-window.ts'

const KiB = 1024
const begins = (window: SendWindow, peer: string, request: number, now: number): boolean =>
  window.mayBegin(peer, request, 'prefetch', now)

test('what is in flight from a node is bounded over all its peers', t => {
  const window = new SendWindow()
  window.urgent(0)
  t.true(begins(window, 'a', 1, 0))
  window.began('a', 1, 64 * KiB, 0)
  t.true(begins(window, 'b', 1, 0))
  window.began('b', 1, 64 * KiB, 0)
  t.false(begins(window, 'c', 1, 0))
  t.true(begins(window, 'a', 1, 0), 'what has its place may go on')
  window.ended('a', 1, 10)
  t.true(begins(window, 'c', 1, 10))
})

test('a machine that takes nothing holds no place, and gets nothing more meanwhile', t => {
  const window = new SendWindow()
  window.urgent(0)
  window.began('slow', 1, 128 * KiB, 0)
  t.false(begins(window, 'quick', 1, 500))
  t.true(begins(window, 'quick', 1, 501))
  t.false(begins(window, 'slow', 2, 501))
  window.moved('slow', 1, 600)
  t.false(begins(window, 'quick', 1, 601), 'it moves again')
  window.ended('slow', 1, 700)
  t.true(begins(window, 'slow', 2, 700))
})

test('who has gone holds no place', t => {
  const window = new SendWindow()
  window.urgent(0)
  window.began('a', 1, 128 * KiB, 0)
  t.false(begins(window, 'b', 1, 0))
  window.gone('a')
  t.true(begins(window, 'b', 1, 0))
})

test('a quick line has a wider window', t => {
  const window = new SendWindow()
  // 125,000 bytes a millisecond: 25 ms of it are 3 MB.
  for (let ms = 0; ms <= 200; ms += 1) {
    window.began('a', ms, 125_000, ms)
    window.began('a', 1_000 + ms, 1, ms)
    window.ended('a', ms, ms + 1)
  }
  window.began('b', 1, 1024 * KiB, 210)
  t.true(begins(window, 'c', 1, 210))
  window.began('c', 1, 3 * 1024 * KiB, 210)
  t.false(begins(window, 'd', 1, 210))
})

test('segments are larger on a quick line, and not while somebody reads', t => {
  const window = new SendWindow()
  t.is(window.segmentBytes(0), limits.segmentBytes, 'nothing is known of the line')
  for (let ms = 0; ms <= 200; ms += 1) {
    window.began('a', ms, 65_000, ms)
    window.began('a', 1_000 + ms, 1, ms)
    window.ended('a', ms, ms + 1)
  }
  t.is(window.segmentBytes(201), limits.segmentBytes, 'just below 512 Mbit/s')
  for (let ms = 300; ms <= 500; ms += 1) {
    window.began('b', ms, 70_000, ms)
    window.began('b', 1_000 + ms, 1, ms)
    window.ended('b', ms, ms + 1)
  }
  t.is(window.segmentBytes(501), limits.segmentBytesMax)
  window.urgent(502)
  t.is(window.segmentBytes(503), limits.segmentBytes)
})

test('background stands back while somebody waits and for a while after, prefetch does not', t => {
  const window = new SendWindow()
  window.began('a', 1, 1, 0)
  window.urgent(0)
  for (const now of [0, 100, 299]) {
    t.true(window.yields(now))
    t.false(window.mayBegin('b', 1, 'background', now))
    t.true(window.mayBegin('b', 1, 'prefetch', now))
  }
  t.false(window.yields(300))
  t.true(window.mayBegin('b', 1, 'background', 300))
})

test('one frame a second goes out however much somebody waits', t => {
  const window = new SendWindow()
  let sent = 0
  for (let now = 0; now < 10_000; now += 10) {
    window.urgent(now)
    if (!window.mayBegin('a', now, 'background', now)) continue
    sent += 1
    window.began('a', now, 1, now)
    window.ended('a', now, now)
  }
  t.is(sent, 10)
})

test('while nobody waits more may be on its way, and less again from the moment that somebody does', t => {
  const window = new SendWindow()
  // The rate is measured while something is on its way without a break.
  window.began('x', 1, 1, 0)
  // 40 Mbit/s: 100 ms of it are 478 KB.
  for (let ms = 0; ms <= 200; ms += 10) {
    window.began('a', ms, 47_800, ms)
    window.ended('a', ms, ms + 10)
  }
  for (let n = 0; n < 4; n += 1) {
    t.true(begins(window, 'a', 1_000 + n, 210), String(n))
    window.began('a', 1_000 + n, 120_000, 210)
  }
  t.false(begins(window, 'b', 9, 210))
  window.ended('a', 1_000, 215)
  window.ended('a', 1_001, 215)
  t.true(begins(window, 'b', 9, 215))
  window.urgent(220)
  t.false(begins(window, 'b', 9, 220))
  window.moved('a', 1_002, 2_200)
  window.moved('a', 1_003, 2_200)
  t.false(begins(window, 'b', 9, 2_219))
  t.true(begins(window, 'b', 9, 2_220))
})

test('on a slow line, and on one of which nothing is known, no more may be on its way in quiet times', t => {
  const slow = new SendWindow()
  slow.began('x', 1, 1, 0)
  for (let ms = 0; ms <= 2_000; ms += 100) {
    slow.began('a', ms, 60_000, ms)
    slow.ended('a', ms, ms + 100)
  }
  for (const window of [slow, new SendWindow()]) {
    window.began('a', 5_000, 128 * KiB, 2_100)
    t.false(begins(window, 'b', 9, 2_100))
  }
})
