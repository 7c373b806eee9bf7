import test from 'ava'
import { limits, type BlockDevice } from '../../src/base/index.ts'
import { BootRecorder, withReadsWatched } from '../../src/agent/boot-recorder.ts'
import type { BootStep } from '../../src/image/index.ts'
import { HandTimers } from '../helpers/hand-timers.ts'

const chunkSize = 100

function record(quietMs = 1_000, chunkCount = 50, isZero = (_position: number) => false) {
  const timers = new HandTimers(5_000)
  const first: number[] = []
  const booted: (readonly BootStep[])[] = []
  const recorder = new BootRecorder({
    chunkSize,
    chunkCount,
    quietMs,
    timers,
    isZero,
    onFirst: position => first.push(position),
    onBooted: steps => booted.push(steps)
  })
  return { recorder, timers, first, booted }
}

test('chunks are noted as they are first touched, with the time since the first read', t => {
  const { recorder, timers, first, booted } = record()
  recorder.read(250, 10)
  timers.pass(40)
  recorder.read(199, 2)
  timers.pass(900)
  recorder.read(200, 100)
  t.deepEqual(first, [2, 1])
  t.deepEqual(booted, [], 'a second touch of a chunk is nothing new, and prolongs no boot')
  timers.pass(100)
  t.deepEqual(booted, [
    [
      { position: 2, ms: 0 },
      { position: 1, ms: 40 }
    ]
  ])
})

test('a boot ends once; what is read later is still told as it is first touched', t => {
  const { recorder, timers, first, booted } = record()
  recorder.read(0, 1)
  timers.pass(1_000)
  recorder.read(4_999, 1)
  timers.pass(60_000)
  t.is(booted.length, 1)
  t.deepEqual(first, [0, 49])
})

test('nothing is reported of a machine that reads nothing, is told not to, or stops', t => {
  const idle = record()
  idle.timers.pass(1e9)
  const mute = record(Infinity)
  mute.recorder.read(0, 500)
  mute.timers.pass(1e9)
  const stopped = record()
  stopped.recorder.read(0, 500)
  stopped.recorder.stop()
  stopped.timers.pass(1e9)
  t.deepEqual([...idle.booted, ...mute.booted, ...stopped.booted], [])
  t.is(mute.first.length, 5)
})

test('who reads more than a boot does is no boot', t => {
  const { recorder, timers, booted } = record(1_000, limits.bootChunksMax + 1)
  recorder.read(0, chunkSize * (limits.bootChunksMax + 1))
  timers.pass(1e9)
  t.deepEqual(booted, [])
})

test('who reads nearly all that an image holds copies it, whatever he reads of its zeros', t => {
  const isZero = (position: number): boolean => position >= 10
  const bootOf = (chunks: number, zeros: number): number => {
    const { recorder, timers, booted } = record(1_000, 50, isZero)
    recorder.read(0, chunkSize * chunks)
    if (zeros > 0) recorder.read(chunkSize * 10, chunkSize * zeros)
    timers.pass(1e9)
    return booted.length
  }
  t.deepEqual([bootOf(10, 0), bootOf(10, 40)], [0, 0])
  t.deepEqual([bootOf(9, 0), bootOf(5, 40), bootOf(1, 0)], [1, 1, 1])
})

test('a watched device tells of reads before they are answered, and does the rest as before', async t => {
  const reads: number[][] = []
  const device: BlockDevice = {
    size: 10,
    read: () => Promise.resolve(new Uint8Array([reads.length])),
    write: () => Promise.resolve(),
    flush: () => Promise.resolve()
  }
  const watched = withReadsWatched(device, {
    read: (offset, length) => reads.push([offset, length])
  })
  t.deepEqual(await watched.read(4, 2), new Uint8Array([1]))
  t.deepEqual(reads, [[4, 2]])
  t.is(watched.size, 10)
  t.false('trim' in watched)
  t.false('readNow' in watched)
})

test('a read that is answered at once is told of, too, and one that is not is told of once', t => {
  const reads: [number, number][] = []
  const device: BlockDevice = {
    size: 10,
    read: (_offset, length) => Promise.resolve(new Uint8Array(length)),
    readNow: offset => offset > 4,
    write: () => Promise.resolve(),
    flush: () => Promise.resolve()
  }
  const watched = withReadsWatched(device, {
    read: (offset, length) => reads.push([offset, length])
  })
  t.true(watched.readNow?.(5, Buffer.alloc(3)))
  t.false(watched.readNow?.(2, Buffer.alloc(3)))
  t.deepEqual(reads, [[5, 3]])
})
