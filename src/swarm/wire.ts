import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { BootswarmError, limits, requestClasses, type ChunkId } from '../base/index.ts'
import { refusalReasons, type MachineReport, type Message, type PeerAddress } from './messages.ts'

export * from './messages.ts'

// Every byte that two peers exchange, and nothing else: no sockets here. Tables: docs/swarm-wire.md.
// A message is u32 length, u8 type, body; the length counts type and body. Integers are big-endian.

export const peerProtocol = '/bootswarm/peer'
export const enrolProtocol = '/bootswarm/enrol'
/** Goes up when an older peer would misunderstand us; peers compare it in the hello. */
export const protocolVersion = 2

export const lengthBytes = 4
const digestBytes = 32
const stringBytesMax = 512
const peersMax = 64

type MessageType = Message['type']

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
  seeds: 24
} as const satisfies Record<MessageType, number>

const typeNames = new Map<number, MessageType>(
  Object.entries(typeNumbers).map(([name, number]) => [number, name as MessageType])
)

/** Items in one `have` or `have-not`; more go into further messages. */
export const haveItemsMax = 4096
/** Bytes of bitfield in one `have-map`. */
export const haveMapBytesMax = 64 * 1024

export function encodeMessage(message: Message): Uint8Array {
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
export function encodeSegmentHead(request: number, length: number): Uint8Array {
  const head = Buffer.allocUnsafe(segmentHeadBytes)
  head.writeUInt32BE(1 + 4 + length, 0)
  head[lengthBytes] = typeNumbers.segment
  head.writeUInt32BE(request, lengthBytes + 1)
  return head
}

/** What `bytes` say that follows them, if they begin with a whole head of a segment. */
export function decodeSegmentHead(
  bytes: Uint8Array
): { readonly request: number; readonly length: number } | undefined {
  if (bytes.length < segmentHeadBytes || bytes[lengthBytes] !== typeNumbers.segment)
    return undefined
  const head = new DataView(bytes.buffer, bytes.byteOffset, segmentHeadBytes)
  const length = head.getUint32(0) - (segmentHeadBytes - lengthBytes)
  if (length < 1 || length > limits.segmentBytes) {
    throw malformed(`a segment announces ${length} bytes`)
  }
  return { request: head.getUint32(lengthBytes + 1), length }
}

/** `bytes` is one message without its length. Throws ERR_PEER_PROTOCOL for anything malformed. */
export function decodeMessage(bytes: Uint8Array): Message {
  const type = typeNames.get(bytes[0] ?? 0)
  if (type === undefined) throw malformed(`message type ${bytes[0] ?? 'none'} is unknown`)
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 1)
  return decoders[type](body)
}

function encodeBody(message: Message): Uint8Array {
  switch (message.type) {
    case 'hello':
      return encodeCbor({
        version: message.version,
        certificate: message.certificate,
        listen: message.listen
      })
    case 'want':
      return Buffer.concat([
        u32(message.request),
        Buffer.from([requestClasses.indexOf(message.class), message.insist ? 1 : 0]),
        Buffer.from(message.id, 'hex')
      ])
    case 'cancel':
    case 'got':
      return u32(message.request)
    case 'more':
      return Buffer.concat([u32(message.request), Buffer.from(message.imageId, 'hex')])
    case 'give':
      return Buffer.concat([u32(message.request), Buffer.from(message.id, 'hex')])
    case 'accept':
      return Buffer.concat([u32(message.request), Buffer.from([message.waiting ? 1 : 0])])
    case 'frame':
      return Buffer.concat([
        u32(message.request),
        Buffer.from([message.encoding === 'zstd' ? 1 : 0]),
        u32(message.frameLength),
        u32(message.plainLength)
      ])
    case 'segment':
      return Buffer.concat([u32(message.request), message.bytes])
    case 'refuse':
      return Buffer.concat([
        u32(message.request),
        Buffer.from([refusalReasons.indexOf(message.reason)])
      ])
    case 'redirect':
      return Buffer.concat([u32(message.request), encodeCbor(plainPeers(message.to))])
    case 'interest':
      return Buffer.concat([Buffer.from(message.imageId, 'hex'), u32(message.itemCount)])
    case 'have-all':
      return Buffer.from(message.imageId, 'hex')
    case 'have-map':
      return Buffer.concat([Buffer.from(message.imageId, 'hex'), u32(message.first), message.bits])
    case 'have':
    case 'have-not':
    case 'read':
      return Buffer.concat([Buffer.from(message.imageId, 'hex'), ...message.items.map(u32)])
    case 'seeds':
      return Buffer.concat([Buffer.from(message.imageId, 'hex'), encodeCbor([...message.seeds])])
    case 'peers':
      return encodeCbor(plainPeers(message.peers))
    case 'ping':
    case 'pong':
      return u32(message.nonce)
    case 'resolve':
      return Buffer.concat([u32(message.request), Buffer.from(message.name, 'utf8')])
    case 'release':
      return Buffer.concat([u32(message.request), message.release])
    case 'report':
      return encodeCbor({ ...message.report })
  }
}

const decoders: { readonly [T in MessageType]: (body: Buffer) => Message } = {
  hello: decodeHello,
  want(body) {
    expectLength('want', body, 4 + 2 + digestBytes)
    return {
      type: 'want',
      request: body.readUInt32BE(0),
      class: pick(requestClasses, body[4], 'request class'),
      insist: flag(body[5]),
      id: digest(body, 6)
    }
  },
  cancel(body) {
    expectLength('cancel', body, 4)
    return { type: 'cancel', request: body.readUInt32BE(0) }
  },
  got(body) {
    expectLength('got', body, 4)
    return { type: 'got', request: body.readUInt32BE(0) }
  },
  more(body) {
    expectLength('more', body, 4 + digestBytes)
    return { type: 'more', request: body.readUInt32BE(0), imageId: digest(body, 4) }
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
    expectLengthBetween('segment', body, 5, 4 + limits.segmentBytes)
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
  report: body => ({ type: 'report', report: decodeReport(body) })
}

function decodeItems(type: 'have' | 'have-not' | 'read', body: Buffer): number[] {
  expectLengthBetween(type, body, digestBytes + 4, digestBytes + 4 * haveItemsMax)
  if ((body.length - digestBytes) % 4 !== 0) throw malformed(`a ${type} ends inside an item`)
  const items: number[] = []
  for (let at = digestBytes; at < body.length; at += 4) items.push(body.readUInt32BE(at))
  return items
}

function decodeHello(body: Buffer): Message {
  const fields = cborMap(body, 'hello')
  const { version, certificate, listen } = fields
  // The version alone must stay readable for ever: it tells a stranger which side to upgrade.
  if (!isCount(version)) throw malformed('a hello has no version')
  if (version !== protocolVersion) {
    return { type: 'hello', version, certificate: new Uint8Array(), listen: [] }
  }
  if (!(certificate instanceof Uint8Array)) throw malformed('a hello has no certificate')
  return { type: 'hello', version, certificate, listen: strings(listen, 'listen addresses') }
}

function decodePeers(bytes: Uint8Array): PeerAddress[] {
  const list = cbor(bytes, 'peer list')
  if (!Array.isArray(list) || list.length > peersMax) throw malformed('a peer list is malformed')
  return list.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw malformed('a peer is not a pair')
    const [peerId, addresses] = entry as [unknown, unknown]
    if (!isShortString(peerId)) throw malformed('a peer has no id')
    return { peerId, addresses: strings(addresses, 'peer addresses') }
  })
}

function decodeReport(body: Buffer): MachineReport {
  const fields = cborMap(body, 'report')
  const { state, imageId, present, rate, bytesFromSeed, bytesFromPeers } = fields
  if (!isShortString(state) || typeof imageId !== 'string' || !/^[0-9a-f]{64}$/.test(imageId)) {
    throw malformed('a report is malformed')
  }
  const numbers = { present, rate, bytesFromSeed, bytesFromPeers }
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value !== 'number' || !(value >= 0)) throw malformed(`a report has a bad ${name}`)
    if (name === 'present' && value > 1) throw malformed('a report has more than all present')
  }
  const report = { state, imageId, ...(numbers as Record<keyof typeof numbers, number>) }
  const lists = (['ids', 'bootUrls', 'bootFiles'] as const).filter(name => name in fields)
  return Object.assign(report, Object.fromEntries(lists.map(n => [n, strings(fields[n], n)])))
}

function plainPeers(peers: readonly PeerAddress[]): [string, string[]][] {
  return peers.map(peer => [peer.peerId, [...peer.addresses]])
}

function cbor(bytes: Uint8Array, what: string): unknown {
  try {
    return decodeCbor(bytes)
  } catch (cause) {
    throw malformed(`a ${what} is not dag-cbor`, cause)
  }
}

function cborMap(bytes: Uint8Array, what: string): Record<string, unknown> {
  const value = cbor(bytes, what)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`a ${what} is not a map`)
  }
  return value as Record<string, unknown>
}

function strings(value: unknown, what: string): string[] {
  const most = limits.addressesPerPeerMax
  if (!Array.isArray(value) || value.length > most || !value.every(isShortString)) {
    throw malformed(`${what} are not a short list of strings`)
  }
  return value
}

function isShortString(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && Buffer.byteLength(value) <= stringBytesMax
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function digest(body: Buffer, at: number): ChunkId {
  return body.toString('hex', at, at + digestBytes)
}

function flag(byte: number | undefined): boolean {
  if (byte !== 0 && byte !== 1) throw malformed('a flag is neither 0 nor 1')
  return byte === 1
}

function pick<T>(choices: readonly T[], index: number | undefined, what: string): T {
  const choice = choices[index ?? -1]
  if (choice === undefined) throw malformed(`${what} ${index} is unknown`)
  return choice
}

function expectLength(type: MessageType, body: Buffer, length: number): void {
  expectLengthBetween(type, body, length, length)
}

function expectLengthBetween(type: MessageType, body: Buffer, least: number, most: number): void {
  if (body.length < least || body.length > most) {
    throw malformed(`a ${type} has ${body.length} bytes`)
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

function malformed(why: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_PEER_PROTOCOL', `a peer sent a malformed message: ${why}`, {
    cause
  })
}
