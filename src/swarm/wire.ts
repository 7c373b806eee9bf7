import { encode as encodeCbor } from '@ipld/dag-cbor'
import { limits, requestClasses, type ChunkId, type RequestClass } from '../base/index.ts'
import { refusalReasons, type WireMessage } from './messages.ts'
import {
  cbor,
  digest,
  digestBytes,
  flag,
  malformed,
  pick,
  stringBytesMax,
  strings,
  u32
} from './wire-fields.ts'
import {
  decodeAnswers,
  decodeWant,
  decodeWants,
  encodeAnswers,
  encodeWant,
  wantBytes
} from './wire-lists.ts'
import { decodeHello, decodePeers, decodeReport, plainPeers } from './wire-maps.ts'

export * from './messages.ts'
export { protocolVersion } from './wire-maps.ts'

// Every byte that two peers exchange, and nothing else: no sockets here. Tables: docs/swarm-wire.md.
// A message is u32 length, u8 type, body; the length counts type and body. Integers are big-endian.

export const peerProtocol = '/bootswarm/peer'
export const enrolProtocol = '/bootswarm/enrol'
export const lengthBytes = 4

type MessageType = WireMessage['type']

const typeNumbers = {
  hello: 1,
  want: 2,
  cancel: 3,
  accept: 4,
  frame: 5,
  segment: 6,
  refuse: 7,
  redirect: 8,
  interest: 9,
  'have-all': 10,
  'have-map': 11,
  have: 12,
  'have-not': 13,
  peers: 14,
  ping: 15,
  pong: 16,
  resolve: 17,
  release: 18,
  report: 19,
  more: 20,
  give: 21,
  got: 22,
  read: 23,
  seeds: 24,
  completion: 25,
  boot: 26,
  profile: 27,
  wants: 28,
  answers: 29
} as const satisfies Record<MessageType, number>

const typeNames = new Map<number, MessageType>(
  Object.entries(typeNumbers).map(([name, number]) => [number, name as MessageType])
)

/** Items in one `have` or `have-not`; more go into further messages. */
export const haveItemsMax = 4096
/** Bytes of bitfield in one `have-map`. */
export const haveMapBytesMax = 64 * 1024

export function encodeMessage(message: WireMessage): Uint8Array {
  const body = encodeBody(message)
  const bytes = Buffer.allocUnsafe(lengthBytes + 1 + body.length)
  bytes.writeUInt32BE(1 + body.length, 0)
  bytes[lengthBytes] = typeNumbers[message.type]
  bytes.set(body, lengthBytes + 1)
  return bytes
}

/** Length, type and request of a segment; its bytes follow. */
export const segmentHeadBytes = lengthBytes + 1 + 4

/** The head of a segment; its bytes follow untouched, so that they need not be copied. */
export function encodeSegmentHead(
  request: number,
  length: number,
  head: Buffer = Buffer.allocUnsafe(segmentHeadBytes)
): Uint8Array {
  head.writeUInt32BE(1 + 4 + length, 0)
  head[lengthBytes] = typeNumbers.segment
  head.writeUInt32BE(request, lengthBytes + 1)
  return head
}

/** What the head of a segment says that follows it, if a whole one stands at `at`. */
export function decodeSegmentHead(
  bytes: Uint8Array,
  at = 0
): { readonly request: number; readonly length: number } | undefined {
  if (bytes.length < at + segmentHeadBytes) return undefined
  if (bytes[at + lengthBytes] !== typeNumbers.segment) return undefined
  const length = readU32(bytes, at) - (segmentHeadBytes - lengthBytes)
  if (length < 1 || length > limits.segmentBytesMax) {
    throw malformed(`a segment announces ${length} bytes`)
  }
  return { request: readU32(bytes, at + lengthBytes + 1), length }
}

/** Without a view of its own: messages are read by the hundred thousand. */
export function readU32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16)
  return (high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
}

/** `bytes` is one message without its length. Throws ERR_PEER_PROTOCOL for anything malformed. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  const type = typeNames.get(bytes[0] ?? 0)
  if (type === undefined) throw malformed(`message type ${bytes[0] ?? 'none'} is unknown`)
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 1)
  return decoders[type](body)
}

function encodeBody(message: WireMessage): Uint8Array {
  switch (message.type) {
    case 'hello':
      return encodeCbor({
        version: message.version,
        certificate: message.certificate,
        listen: message.listen,
        ...(message.location === undefined ? {} : { location: message.location }),
        ...(message.lists === undefined ? {} : { lists: message.lists })
      })
    case 'want':
      return encodeWant(message)
    case 'wants':
      return joined(...message.wants.map(encodeWant))
    case 'answers':
      return encodeAnswers(message.answers)
    case 'cancel':
    case 'got':
      return u32(message.request)
    case 'more':
      return joined(u32(message.request), classByte(message.class), hex(message.imageId))
    case 'boot':
      return joined(hex(message.imageId), message.bytes)
    case 'profile':
      return joined(hex(message.imageId), u32(message.machines), message.bytes)
    case 'give':
      return joined(u32(message.request), hex(message.id))
    case 'accept':
      return joined(u32(message.request), Uint8Array.of(message.waiting ? 1 : 0))
    case 'frame':
      return joined(
        u32(message.request),
        Uint8Array.of(message.encoding === 'zstd' ? 1 : 0),
        u32(message.frameLength),
        u32(message.plainLength)
      )
    case 'segment':
      return joined(u32(message.request), message.bytes)
    case 'refuse':
      return joined(u32(message.request), Uint8Array.of(refusalReasons.indexOf(message.reason)))
    case 'redirect':
      return joined(u32(message.request), encodeCbor(plainPeers(message.to)))
    case 'interest':
      return joined(hex(message.imageId), u32(message.itemCount))
    case 'have-all':
      return hex(message.imageId)
    case 'have-map':
      return joined(hex(message.imageId), u32(message.first), message.bits)
    case 'have':
    case 'have-not':
    case 'read':
      return joined(hex(message.imageId), ...message.items.map(u32))
    case 'seeds':
      return joined(hex(message.imageId), encodeCbor([...message.seeds]))
    case 'peers':
      return encodeCbor(plainPeers(message.peers))
    case 'ping':
    case 'pong':
      return u32(message.nonce)
    case 'resolve':
      return joined(u32(message.request), Buffer.from(message.name, 'utf8'))
    case 'release':
      return joined(u32(message.request), message.release)
    case 'report':
      return encodeCbor({ ...message.report })
    case 'completion':
      return message.signed
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}

function classByte(requestClass: RequestClass): Uint8Array {
  return Uint8Array.of(requestClasses.indexOf(requestClass))
}

function hex(id: ChunkId): Buffer {
  return Buffer.from(id, 'hex')
}

const decoders: { readonly [T in MessageType]: (body: Buffer) => WireMessage } = {
  hello: decodeHello,
  want(body) {
    expectLength('want', body, wantBytes)
    return decodeWant(body, 0)
  },
  wants: body => ({ type: 'wants', wants: decodeWants(body) }),
  answers: body => ({ type: 'answers', answers: decodeAnswers(body) }),
  cancel(body) {
    expectLength('cancel', body, 4)
    return { type: 'cancel', request: body.readUInt32BE(0) }
  },
  got(body) {
    expectLength('got', body, 4)
    return { type: 'got', request: body.readUInt32BE(0) }
  },
  more(body) {
    expectLength('more', body, 4 + 1 + digestBytes)
    return {
      type: 'more',
      request: body.readUInt32BE(0),
      class: pick(requestClasses, body[4], 'request class'),
      imageId: digest(body, 5)
    }
  },
  give(body) {
    expectLength('give', body, 4 + digestBytes)
    return { type: 'give', request: body.readUInt32BE(0), id: digest(body, 4) }
  },
  accept(body) {
    expectLength('accept', body, 5)
    return { type: 'accept', request: body.readUInt32BE(0), waiting: flag(body[4]) }
  },
  frame(body) {
    expectLength('frame', body, 13)
    return {
      type: 'frame',
      request: body.readUInt32BE(0),
      encoding: flag(body[4]) ? 'zstd' : 'plain',
      frameLength: body.readUInt32BE(5),
      plainLength: body.readUInt32BE(9)
    }
  },
  segment(body) {
    expectLengthBetween('segment', body, 5, 4 + limits.segmentBytesMax)
    return { type: 'segment', request: body.readUInt32BE(0), bytes: body.subarray(4) }
  },
  refuse(body) {
    expectLength('refuse', body, 5)
    const reason = pick(refusalReasons, body[4], 'refusal reason')
    return { type: 'refuse', request: body.readUInt32BE(0), reason }
  },
  redirect(body) {
    expectLengthBetween('redirect', body, 5, limits.messageBytesMax)
    return { type: 'redirect', request: body.readUInt32BE(0), to: decodePeers(body.subarray(4)) }
  },
  interest(body) {
    expectLength('interest', body, digestBytes + 4)
    const itemCount = body.readUInt32BE(digestBytes)
    return { type: 'interest', imageId: digest(body, 0), itemCount }
  },
  'have-all'(body) {
    expectLength('have-all', body, digestBytes)
    return { type: 'have-all', imageId: digest(body, 0) }
  },
  'have-map'(body) {
    expectLengthBetween('have-map', body, digestBytes + 5, digestBytes + 4 + haveMapBytesMax)
    const first = body.readUInt32BE(digestBytes)
    if (first % 8 !== 0) throw malformed('a have-map starts inside a byte')
    const bits = body.subarray(digestBytes + 4)
    return { type: 'have-map', imageId: digest(body, 0), first, bits }
  },
  have: body => ({ type: 'have', imageId: digest(body, 0), items: decodeItems('have', body) }),
  'have-not': body => ({
    type: 'have-not',
    imageId: digest(body, 0),
    items: decodeItems('have-not', body)
  }),
  read: body => ({ type: 'read', imageId: digest(body, 0), items: decodeItems('read', body) }),
  seeds: body => ({
    type: 'seeds',
    imageId: digest(body, 0),
    seeds: strings(cbor(body.subarray(digestBytes), 'seed list'), 'seeds')
  }),
  boot(body) {
    expectLengthBetween('boot', body, digestBytes + 8, digestBytes + 8 * limits.bootChunksMax)
    return { type: 'boot', imageId: digest(body, 0), bytes: body.subarray(digestBytes) }
  },
  profile(body) {
    const start = digestBytes + 4
    expectLengthBetween('profile', body, start + 1, start + limits.profileBytesMax)
    return {
      type: 'profile',
      imageId: digest(body, 0),
      machines: body.readUInt32BE(digestBytes),
      bytes: body.subarray(start)
    }
  },
  peers: body => ({ type: 'peers', peers: decodePeers(body) }),
  ping(body) {
    expectLength('ping', body, 4)
    return { type: 'ping', nonce: body.readUInt32BE(0) }
  },
  pong(body) {
    expectLength('pong', body, 4)
    return { type: 'pong', nonce: body.readUInt32BE(0) }
  },
  resolve(body) {
    expectLengthBetween('resolve', body, 5, 4 + stringBytesMax)
    return { type: 'resolve', request: body.readUInt32BE(0), name: body.toString('utf8', 4) }
  },
  release(body) {
    expectLengthBetween('release', body, 4, 4 + limits.releaseBytesMax)
    return { type: 'release', request: body.readUInt32BE(0), release: body.subarray(4) }
  },
  report: body => ({ type: 'report', report: decodeReport(body) }),
  completion(body) {
    expectLengthBetween('completion', body, 1, limits.completionBytesMax)
    return { type: 'completion', signed: body }
  }
}

function decodeItems(type: 'have' | 'have-not' | 'read', body: Buffer): number[] {
  expectLengthBetween(type, body, digestBytes + 4, digestBytes + 4 * haveItemsMax)
  if ((body.length - digestBytes) % 4 !== 0) throw malformed(`a ${type} ends inside an item`)
  const items: number[] = []
  for (let at = digestBytes; at < body.length; at += 4) items.push(body.readUInt32BE(at))
  return items
}

function expectLength(type: MessageType, body: Buffer, length: number): void {
  expectLengthBetween(type, body, length, length)
}

function expectLengthBetween(type: MessageType, body: Buffer, least: number, most: number): void {
  if (body.length < least || body.length > most) {
    throw malformed(`a ${type} has ${body.length} bytes`)
  }
}
