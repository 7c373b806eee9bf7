import test from 'ava'
import fc from 'fast-check'
import {
  writeYamuxDataHead,
  yamuxHeadBytes,
  YamuxReader,
  type YamuxHeader
} from '../../src/swarm/yamux-reader.ts'
import { throwsWith } from '../helpers/errors.ts'

interface Frame extends YamuxHeader {
  readonly payload: Uint8Array
}

function encode({ type, flag, streamID, length, payload }: Frame): Buffer {
  const head = Buffer.alloc(yamuxHeadBytes)
  head[1] = type
  head.writeUInt16BE(flag, 2)
  head.writeUInt32BE(streamID, 4)
  head.writeUInt32BE(length, 8)
  return Buffer.concat([head, payload])
}

/** Pushes the pieces in memory that is overwritten after each. */
function readAll(pieces: readonly Uint8Array[]): Frame[] {
  const frames: { header: YamuxHeader; parts: Buffer[] }[] = []
  const reader = new YamuxReader(header => {
    const parts: Buffer[] = []
    frames.push({ header, parts })
    return bytes => void parts.push(Buffer.from(bytes))
  })
  for (const piece of pieces) {
    const lent = Uint8Array.from(piece)
    reader.push(lent)
    lent.fill(0xff)
  }
  return frames.map(({ header, parts }) => ({ ...header, payload: Buffer.concat(parts) }))
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const flag = fc.integer({ min: 0, max: 0xffff })
const dataFrame = fc
  .record({ flag, streamID: u32, payload: fc.uint8Array({ maxLength: 100 }) })
  .map(frame => ({ ...frame, type: 0, length: frame.payload.length }))
const otherFrame = fc
  .record({ type: fc.integer({ min: 1, max: 3 }), flag, streamID: u32, length: u32 })
  .map(frame => ({ ...frame, payload: new Uint8Array() }))

test('however the bytes are cut, the frames are the same, and nothing of what was lent is kept', t => {
  const frames = fc.array(fc.oneof(dataFrame, otherFrame), { maxLength: 8 })
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (sent, places) => {
      const bytes = Buffer.concat(sent.map(encode))
      const cuts = places.map(place => place % (bytes.length + 1)).toSorted((a, b) => a - b)
      const pieces = [0, ...cuts].map((from, n) => bytes.subarray(from, cuts[n] ?? bytes.length))
      const wanted = sent.map(frame => ({ ...frame, payload: Buffer.from(frame.payload) }))
      t.deepEqual(readAll(pieces), wanted)
    }),
    { numRuns: 300 }
  )
})

test('a payload is given as it comes, and none of it is copied', t => {
  const given: Uint8Array[] = []
  const reader = new YamuxReader(() => bytes => void given.push(bytes))
  const block = Buffer.alloc(yamuxHeadBytes + 1_000, 'part')
  writeYamuxDataHead(block, 7, 1_000)
  const [first, second] = [block.subarray(0, 300), block.subarray(300)]
  reader.push(first)
  reader.push(second)
  t.is(given[0]?.buffer, block.buffer)
  t.is(given[0]?.length, 300 - yamuxHeadBytes)
  t.is(given[1], second)
})

test('another version of yamux is refused', t => {
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => readAll([Buffer.alloc(yamuxHeadBytes, 1)]))
})
