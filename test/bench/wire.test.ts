import test from 'ava'
import { figuresOf, targetsOf } from '../../bench/wire/figures.ts'
import { measurePair } from '../../bench/wire/pair.ts'

test('a pair of real processes moves frames, and both sides are counted', async t => {
  const task = { transport: 'tls', frames: 'zstd', depth: 4, seconds: 0.3 } as const
  const { sender, receiver, seconds } = await measurePair(task)
  t.true(seconds > 0.2 && sender.cpuSeconds > 0 && receiver.cpuSeconds > 0)
  t.true(receiver.frameBytes > 0 && receiver.plainBytes > 2 * receiver.frameBytes)
  t.true(receiver.residentBytesMax > receiver.anonymousBytesMax)
})

test('figures are medians, and a target is met or missed by them', t => {
  const side = { plainBytes: 2e9, residentBytesMax: 1e8, anonymousBytesMax: 5e7 }
  const measured = [1, 2, 9].map(cpuSeconds => ({
    seconds: 2,
    sender: { ...side, frameBytes: 1e9, cpuSeconds },
    receiver: { ...side, frameBytes: 1e9, cpuSeconds }
  }))
  const tls = figuresOf({ transport: 'tls', frames: 'plain' }, measured, [0])
  t.is(tls.megabytesPerSecond, 500)
  t.is(tls.senderPerFrameGB, 2)
  t.is(tls.receiverPerPlainGB, 1)
  const bare = { ...tls, transport: 'bare', megabytesPerSecond: 900 } as const
  const met = targetsOf([tls, bare], undefined).map(({ isMet }) => isMet)
  t.deepEqual(met, [true, false, true])
})
