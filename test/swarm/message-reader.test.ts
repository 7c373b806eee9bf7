import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import fc from 'fast-check'
import { isErrorCode, limits } from '../../src/base/index.ts'
import { MessageReader } from '../../src/swarm/message-reader.ts'
import {
  encodeMessage,
  encodeSegmentHead,
  segmentHeadBytes,
  type WireMessage
} from '../../src/swarm/wire.ts'
import { throwsWith } from '../helpers/errors.ts'
import { anyMessage, comparable, joinSegments, largestMessages } from './messages.ts'

function readAll(pieces: readonly Uint8Array[]): unknown[] {
  const reader = new MessageReader()
  return joinSegments(pieces.flatMap(piece => [...reader.push(piece)])).map(comparable)
}

function lengthOf(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map(place => place % bytes.length).toSorted((a, b) => a - b)
  return [0, ...sorted].map((from, index) => bytes.subarray(from, sorted[index] ?? bytes.length))
}

test('however the bytes are cut, the messages are the same', t => {
  const messages = fc.array(anyMessage, { minLength: 1, maxLength: 6 })
  const places = fc.array(fc.nat(), { maxLength: 20 })
  fc.assert(
    fc.property(messages, places, (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(encodeMessage))
      t.deepEqual(readAll(cut(bytes, cuts)), joinSegments(sent).map(comparable))
    }),
    { numRuns: 300 }
  )
})

test('byte by byte, the messages are the same', t => {
  const messages: WireMessage[] = [
    { type: 'ping', nonce: 1 },
    { type: 'want', request: 1, class: 'urgent', insist: false, id: 'ab'.repeat(32) },
    ...largestMessages
  ]
  const bytes = Buffer.concat(messages.map(encodeMessage))
  const pieces = Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1))
  t.deepEqual(readAll(pieces), messages.map(comparable))
})

test('a segment is given as it comes, and none of it is copied', t => {
  const bytes = encodeMessage({ type: 'segment', request: 7, bytes: Buffer.alloc(1_000, 'part') })
  const reader = new MessageReader()
  const first = bytes.subarray(0, 300)
  const [part] = [...reader.push(first)]
  t.like(part, { type: 'segment', request: 7 })
  t.is(part?.type === 'segment' ? part.bytes.buffer : undefined, first.buffer)
  t.is(part?.type === 'segment' ? part.bytes.length : 0, 300 - segmentHeadBytes)
  const rest = joinSegments([...reader.push(bytes.subarray(300))])
  t.like(rest[0], { type: 'segment', request: 7 })
  t.is(rest.length, 1)
})

test('a segment of a length that it may not have is refused by its head', t => {
  for (const length of [0, limits.segmentBytesMax + 1]) {
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => readAll([encodeSegmentHead(1, length)]))
  }
})

test('a length beyond the limit is refused before anything follows', t => {
  for (const length of [0, limits.messageBytesMax + 1, 0xffff_ffff]) {
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => readAll([lengthOf(length)]))
    const split = [lengthOf(length).subarray(0, 3), lengthOf(length).subarray(3)]
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => readAll(split))
  }
  t.deepEqual(readAll([lengthOf(limits.messageBytesMax)]), [])
})

test('messages before a broken one are read', t => {
  const good = encodeMessage({ type: 'ping', nonce: 9 })
  const seen: WireMessage[] = []
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => {
    for (const message of new MessageReader().push(Buffer.concat([good, lengthOf(0)]))) {
      seen.push(message)
    }
  })
  t.deepEqual(seen, [{ type: 'ping', nonce: 9 }])
})

test('any bytes in any pieces break nothing but the protocol', t => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 10 })
  fc.assert(
    fc.property(pieces, fc.nat(40), (stranger, length) => {
      try {
        readAll([lengthOf(length), ...stranger])
        return true
      } catch (error) {
        return isErrorCode(error, 'ERR_PEER_PROTOCOL')
      }
    }),
    { numRuns: 1_000 }
  )
  t.pass()
})

test('an unfinished message takes no more memory than it will have', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().arrayBuffers
  const reader = new MessageReader()
  t.deepEqual([...reader.push(lengthOf(limits.messageBytesMax))], [])
  // Each byte comes in a buffer of a mebibyte, as sockets may hand them out.
  for (let count = 0; count < 64; count += 1) {
    t.deepEqual([...reader.push(Buffer.alloc(1024 * 1024).subarray(0, 1))], [])
  }
  const grownBy = (): number => process.memoryUsage().arrayBuffers - before
  // V8 lets go of buffers on a thread of its own, some time after it has collected.
  for (let tries = 0; tries < 50 && grownBy() >= 4 * 1024 * 1024; tries += 1) {
    collect()
    await sleep(20)
  }
  const grown = grownBy()
  t.true(grown < 4 * 1024 * 1024, `${grown} bytes more`)
  t.deepEqual([...reader.push(new Uint8Array(1))], [])
})
