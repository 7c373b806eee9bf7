import test from 'ava'
import {
  chunksTouched,
  encodeTrace,
  parseTrace,
  readsInLog,
  thinkTimesMs
} from '../../bench/lab/trace.ts'

const image = { cid: 'bafyimage', size: 1024 * 1024 }
const reads = [
  { seconds: 0, offset: 0, length: 512 },
  { seconds: 0.25, offset: 4096, length: 131_072 },
  { seconds: 9, offset: 131_000, length: 100 }
]

test('reads are found in the log of the log filter, whatever else it tells', t => {
  const log = [
    '2025-12-31 23:59:59.750000 connection=1 Connect export="" tls=0 size=0x400',
    '2025-12-31 23:59:59.800000 connection=1 Read id=1 offset=0x0 count=0x200 ...',
    '2025-12-31 23:59:59.800100 connection=1 ...Read id=1 return=0',
    '2025-12-31 23:59:59.900000 connection=1 Write id=2 offset=0x1000 count=0x1000 ...',
    '2026-01-01 00:00:01.300000 connection=1 Read id=3 offset=0xffff0000 count=0x1000 ...',
    ''
  ].join('\n')
  t.deepEqual(readsInLog(log), [
    { seconds: 0, offset: 0, length: 512 },
    { seconds: 1.5, offset: 0xffff0000, length: 4096 }
  ])
})

test('a log without reads is an error, not an empty trace', t => {
  t.throws(() => readsInLog('2025-12-31 23:59:59.75 connection=1 Write id=2 offset=0x0 count=0x1'))
})

test('a trace comes back as it was written', t => {
  const trace = { image: image.cid, reads }
  t.deepEqual(parseTrace(encodeTrace(trace), image), trace)
})

test('the trace of another image is refused', t => {
  const text = encodeTrace({ image: 'bafyother', reads })
  t.throws(() => parseTrace(text, image), { message: /bafyother.*bafyimage/ })
})

test('what is no trace, or reads what the image does not have, is refused', t => {
  const texts = [
    '[]',
    '{"format":"bootswarm boot trace 2","image":"bafyimage","reads":[]}',
    encodeTrace({ image: image.cid, reads: [{ seconds: 0, offset: image.size, length: 1 }] }),
    encodeTrace({ image: image.cid, reads: [{ seconds: 0, offset: -1, length: 1 }] }),
    encodeTrace({ image: image.cid, reads: [{ seconds: 0, offset: 0, length: 0 }] }),
    encodeTrace({ image: image.cid, reads: [{ seconds: -1, offset: 0, length: 1 }] })
  ]
  for (const text of texts) t.throws(() => parseTrace(text, image), undefined, text)
})

test('a guest thinks for 0.15 of the gap, and for at most 0.15 s', t => {
  t.deepEqual(thinkTimesMs(reads), [0, 37.5, 150])
  t.deepEqual(thinkTimesMs([]), [])
})

test('chunks are listed once, in the order of the first touch, all that a read spans', t => {
  t.deepEqual(chunksTouched(reads, 131_072), [0, 1])
  t.deepEqual(
    chunksTouched([{ seconds: 0, offset: 262_144, length: 1 }, ...reads], 131_072),
    [2, 0, 1]
  )
  t.deepEqual(chunksTouched([{ seconds: 0, offset: 0, length: 131_072 }], 131_072), [0])
})
