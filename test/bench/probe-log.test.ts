import test from 'ava'
import { parseProbe, summarizeProbe, type ProbeLine } from '../../bench/lab/probe-log.ts'

function line(epochMs: number, wants: number, segments: number, chunks: string[]): ProbeLine {
  return { epochMs, received: { want: wants }, sent: { segment: segments }, decisions: {}, chunks }
}

const bootSet = new Map([
  ['a', 100],
  ['b', 10]
])

test('a line that was cut off is left out', t => {
  const first = line(1, 2, 3, ['a'])
  t.deepEqual(parseProbe(`${JSON.stringify(first)}\n{"epochMs":2,"rec`), [first])
  t.deepEqual(parseProbe(''), [])
})

test('chunks sent are counted with repeats, and the boot set in bytes', t => {
  const lines = [line(0, 0, 0, ['a', 'c']), line(250, 1, 9, ['a', 'b']), line(500, 2, 9, ['b'])]
  const summary = summarizeProbe(lines, 400, bootSet)
  t.is(summary?.chunksSent, 4)
  t.is(summary?.distinctChunksSent, 3)
  t.is(summary?.bootSetBytesSent, 210)
  t.deepEqual(summary?.received, { want: 1 })
})

test('the busiest second counts control messages and no data', t => {
  const lines = [
    line(0, 0, 0, []),
    line(500, 10, 1_000, []),
    line(1_000, 30, 2_000, []),
    line(1_500, 70, 3_000, []),
    line(2_500, 80, 4_000, [])
  ]
  t.is(summarizeProbe(lines, 9_999, bootSet)?.messagesPerSecondMax, 60)
})

test('nothing written is no summary', t => {
  t.is(summarizeProbe([], 1, bootSet), undefined)
})
