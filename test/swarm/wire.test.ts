import { encode as encodeCbor } from '@ipld/dag-cbor'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { isErrorCode, limits } from '../../src/base/index.ts'
import {
  decodeMessage,
  encodeMessage,
  encodeSegmentHead,
  haveItemsMax,
  haveMapBytesMax,
  lengthBytes,
  protocolVersion
} from '../../src/swarm/wire.ts'
import { throwsWith } from '../helpers/errors.ts'
import { anyMessage, comparable, largestMessages, messageTypes } from './messages.ts'

const id = 'ab'.repeat(32)

/** A message without its length, made by hand. */
function raw(type: number, ...parts: (Uint8Array | number[])[]): Uint8Array {
  return Buffer.concat([Buffer.from([type]), ...parts.map(part => Buffer.from(part))])
}

function rawCbor(type: number, value: unknown): Uint8Array {
  return raw(type, encodeCbor(value))
}

function isOursOrDecodes(bytes: Uint8Array): boolean {
  try {
    decodeMessage(bytes)
    return true
  } catch (error) {
    return isErrorCode(error, 'ERR_PEER_PROTOCOL')
  }
}

function refused(t: ExecutionContext, bytes: Uint8Array): void {
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => decodeMessage(bytes))
}

test('every message gives back its fields, with its length in front', t => {
  fc.assert(
    fc.property(anyMessage, message => {
      const bytes = Buffer.from(encodeMessage(message))
      t.is(bytes.readUInt32BE(0), bytes.length - lengthBytes)
      t.deepEqual(comparable(decodeMessage(bytes.subarray(lengthBytes))), comparable(message))
    }),
    { numRuns: 500 }
  )
})

test('the largest messages are taken and fit the limit', t => {
  for (const message of largestMessages) {
    const bytes = encodeMessage(message).subarray(lengthBytes)
    t.true(bytes.length <= limits.messageBytesMax, message.type)
    t.deepEqual(comparable(decodeMessage(bytes)), comparable(message))
  }
})

test('a segment sent in two parts is the same segment', t => {
  const bytes = Buffer.from('sixteen KiB of it')
  const parts = [encodeSegmentHead(7, bytes.length), bytes]
  t.deepEqual(Buffer.concat(parts), encodeMessage({ type: 'segment', request: 7, bytes }))
})

test('any bytes are a message or break the protocol, nothing else', t => {
  const anyBytes = fc.uint8Array({ maxLength: 300 })
  fc.assert(fc.property(anyBytes, isOursOrDecodes), { numRuns: 2_000 })
  const typed = fc.tuple(fc.integer({ min: 1, max: messageTypes.length }), anyBytes)
  fc.assert(
    fc.property(typed, ([type, body]) => isOursOrDecodes(raw(type, body))),
    { numRuns: 2_000 }
  )
  t.pass()
})

test('a message with a byte changed, cut or added is a message or breaks the protocol', t => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, place, flip) => {
      const bytes = Uint8Array.from(encodeMessage(message).subarray(lengthBytes))
      const at = place % bytes.length
      const changed = bytes.with(at, (bytes[at] ?? 0) ^ flip)
      return [changed, bytes.subarray(0, at), raw(bytes[0] ?? 0, bytes)].every(isOursOrDecodes)
    }),
    { numRuns: 500 }
  )
  t.pass()
})

test('any dag-cbor in the place of a map or list breaks nothing but the protocol', t => {
  const value = fc.letrec(tie => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, '', 'text', 0, -1, 1.5, protocolVersion, 2n ** 60n, id),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(
        fc.constantFrom('version', 'certificate', 'listen', 'state', 'imageId', 'present', 'rate'),
        tie('any')
      )
    )
  })).any
  fc.assert(
    fc.property(value, fc.constantFrom(1, 14, 19), (any, type) =>
      isOursOrDecodes(rawCbor(type, any))
    ),
    { numRuns: 1_000 }
  )
  fc.assert(fc.property(value, any => isOursOrDecodes(raw(8, [0, 0, 0, 1], encodeCbor(any)))))
  t.true(isOursOrDecodes(raw(14, Buffer.alloc(200_000, 0x81))))
})

test('unknown types, flags, classes and reasons break the protocol', t => {
  const digest = Buffer.from(id, 'hex')
  for (const type of [0, messageTypes.length + 1, 255]) refused(t, raw(type, Buffer.alloc(10)))
  refused(t, new Uint8Array())
  refused(t, raw(2, [0, 0, 0, 1, 3, 0], digest))
  refused(t, raw(2, [0, 0, 0, 1, 0, 2], digest))
  refused(t, raw(4, [0, 0, 0, 1, 2]))
  refused(t, raw(5, [0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 1]))
  refused(t, raw(7, [0, 0, 0, 1, 3]))
})

test('messages of a fixed length have no other', t => {
  const bodies: readonly [type: number, length: number][] = [
    ...([[2, 38] as const, [3, 4], [4, 5], [5, 13], [7, 5]] as [number, number][]),
    ...([[9, 36] as const, [10, 32], [15, 4], [16, 4]] as [number, number][])
  ]
  for (const [type, length] of bodies) {
    t.notThrows(() => decodeMessage(raw(type, new Uint8Array(length))))
    refused(t, raw(type, new Uint8Array(length - 1)))
    refused(t, raw(type, new Uint8Array(length + 1)))
  }
})

test('messages of any length are bounded on both sides', t => {
  const bounds: readonly [type: number, least: number, most: number, step: number][] = [
    [6, 5, 4 + limits.segmentBytesMax, 1],
    [11, 37, 36 + haveMapBytesMax, 1],
    [12, 36, 32 + 4 * haveItemsMax, 4],
    [13, 36, 32 + 4 * haveItemsMax, 4],
    [17, 5, 516, 1],
    [18, 4, 4 + limits.releaseBytesMax, 1]
  ]
  for (const [type, least, most, step] of bounds) {
    t.notThrows(() => decodeMessage(raw(type, new Uint8Array(least))))
    t.notThrows(() => decodeMessage(raw(type, new Uint8Array(most))))
    refused(t, raw(type, new Uint8Array(least - step)))
    refused(t, raw(type, new Uint8Array(most + step)))
  }
  refused(t, raw(12, new Uint8Array(37)))
})

test('a map begins with a whole byte of items', t => {
  const digest = Buffer.from(id, 'hex')
  for (const first of [1, 4, 7, 9]) refused(t, raw(11, digest, [0, 0, 0, first], [255]))
  t.notThrows(() => decodeMessage(raw(11, digest, [0, 0, 0, 8], [255])))
})

test('the lists of a hello and of peers are short, and so is their text', t => {
  const hello = (listen: unknown) =>
    rawCbor(1, { version: protocolVersion, certificate: new Uint8Array(), listen })
  const most = limits.addressesPerPeerMax
  t.notThrows(() => decodeMessage(hello(Array(most).fill('/ip4/10.0.0.1/tcp/1'))))
  for (const listen of [
    Array(most + 1).fill('a'),
    ['a'.repeat(513)],
    ['€'.repeat(171)],
    [''],
    [1],
    'a',
    null
  ]) {
    refused(t, hello(listen))
    refused(t, rawCbor(14, [['peer', listen]]))
  }
  const peer = ['peer', ['/ip4/10.0.0.1/tcp/1']]
  t.notThrows(() => decodeMessage(rawCbor(14, Array(64).fill(peer))))
  refused(t, rawCbor(14, Array(65).fill(peer)))
  for (const bad of [
    [],
    ['peer'],
    ['', []],
    [1, []],
    ['p'.repeat(513), []],
    [...peer, 1],
    'peer'
  ]) {
    refused(t, rawCbor(14, [bad]))
  }
})

test('a hello of another version tells nothing but that', t => {
  const newer = { version: protocolVersion + 1, certificate: 'of another kind', more: [1] }
  t.deepEqual(decodeMessage(rawCbor(1, newer)), {
    type: 'hello',
    version: protocolVersion + 1,
    certificate: new Uint8Array(),
    listen: []
  })
  for (const version of [undefined, null, '1', 1.5, -1]) {
    refused(t, rawCbor(1, version === undefined ? {} : { version }))
  }
  refused(t, rawCbor(1, { version: protocolVersion, certificate: 'text', listen: [] }))
})

test('a hello says where its sender is and whether it takes lists, or nothing; anything else breaks the protocol', t => {
  const hello = { version: protocolVersion, certificate: new Uint8Array(1), listen: [] }
  t.like(decodeMessage(rawCbor(1, { ...hello, location: 'room/rack' })), { location: 'room/rack' })
  t.false('location' in decodeMessage(rawCbor(1, hello)))
  for (const lists of [true, false]) {
    t.like(decodeMessage(rawCbor(1, { ...hello, lists })), { lists })
  }
  for (const lists of [1, 'yes', null]) refused(t, rawCbor(1, { ...hello, lists }))
  for (const location of ['', '/', 'a b', 'x'.repeat(65), 7, null, ['a']]) {
    refused(t, rawCbor(1, { ...hello, location }))
  }
})

test('the figures of a report are possible ones', t => {
  const report = {
    state: 'streaming',
    imageId: id,
    present: 1,
    rate: 0,
    bytesFromSeed: 0,
    bytesFromPeers: 0
  }
  t.notThrows(() => decodeMessage(rawCbor(19, report)))
  const bad: Record<string, unknown>[] = [
    { present: 1.01 },
    { present: -0.1 },
    { rate: -1 },
    { rate: '1' },
    { bytesFromSeed: -1 },
    { bytesFromPeers: null },
    { state: '' },
    { state: 's'.repeat(513) },
    { imageId: id.slice(1) },
    { imageId: id.toUpperCase() }
  ]
  for (const field of bad) refused(t, rawCbor(19, { ...report, ...field }))
  const { rate, ...incomplete } = report
  t.is(rate, 0)
  refused(t, rawCbor(19, incomplete))
})

test('the bytes are those in docs/swarm-wire.md', t => {
  const hex = (message: Parameters<typeof encodeMessage>[0]): string =>
    Buffer.from(encodeMessage(message)).toString('hex')
  const want = { type: 'want', request: 258, class: 'background', insist: true, id } as const
  t.is(hex(want), '00000027' + '02' + '00000102' + '02' + '01' + id)
  t.is(hex({ type: 'cancel', request: 1 }), '00000005' + '03' + '00000001')
  t.is(hex({ type: 'refuse', request: 1, reason: 'given-up' }), '00000006' + '07' + '0000000102')
  const frame = { encoding: 'zstd', frameLength: 3, plainLength: 4 } as const
  t.is(hex({ type: 'frame', request: 1, ...frame }), '0000000e05' + '00000001010000000300000004')
  t.is(hex({ type: 'have', imageId: id, items: [5] }), '00000025' + '0c' + id + '00000005')
  const bits = Uint8Array.of(0x80)
  t.is(hex({ type: 'have-map', imageId: id, first: 8, bits }), '00000026' + `0b${id}0000000880`)
})
