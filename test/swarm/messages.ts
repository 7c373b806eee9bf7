import fc from 'fast-check'
import { limits, requestClasses } from '../../src/base/index.ts'
import {
  haveItemsMax,
  protocolVersion,
  refusalReasons,
  type MachineReport,
  type Message
} from '../../src/swarm/wire.ts'

// Every message that can be sent, in all its variety.

export const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
export const anyId = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => Buffer.from(bytes).toString('hex'))

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter(value => Buffer.byteLength(value) <= 512 && value.isWellFormed())
const addresses = fc.array(text, { maxLength: limits.addressesPerPeerMax })
const peers = fc.array(fc.record({ peerId: text, addresses }), { maxLength: 5 })
const amount = fc.double({ min: 0, max: 1e15, noNaN: true })
const reported = {
  state: text,
  imageId: anyId,
  present: fc.double({ min: 0, max: 1, noNaN: true }),
  rate: amount,
  bytesFromSeed: fc.maxSafeNat(),
  bytesFromPeers: fc.maxSafeNat()
}
const report: fc.Arbitrary<MachineReport> = fc.oneof(
  fc.record(reported),
  fc.record({ ...reported, ids: addresses, bootUrls: addresses, bootFiles: addresses })
)
const items = fc.array(u32, { minLength: 1, maxLength: 50 })
const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength, size: 'max' })

function message<T extends Message['type']>(
  type: T,
  fields: { [F in Exclude<keyof Extract<Message, { type: T }>, 'type'>]: fc.Arbitrary<unknown> }
): fc.Arbitrary<Message> {
  return fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Message>
}

const byType: { readonly [T in Message['type']]: fc.Arbitrary<Message> } = {
  hello: fc.record(
    {
      type: fc.constant('hello' as const),
      version: fc.constant(protocolVersion),
      certificate: bytes(0, 400),
      listen: addresses,
      location: fc.stringMatching(/^[\w.-]{1,20}(\/[\w.-]{1,20}){0,2}$/)
    },
    { requiredKeys: ['type', 'version', 'certificate', 'listen'] }
  ),
  want: message('want', {
    request: u32,
    class: fc.constantFrom(...requestClasses),
    insist: fc.boolean(),
    id: anyId
  }),
  cancel: message('cancel', { request: u32 }),
  got: message('got', { request: u32 }),
  more: message('more', {
    request: u32,
    class: fc.constantFrom(...requestClasses),
    imageId: anyId
  }),
  give: message('give', { request: u32, id: anyId }),
  accept: message('accept', { request: u32, waiting: fc.boolean() }),
  frame: message('frame', {
    request: u32,
    encoding: fc.constantFrom('plain', 'zstd'),
    frameLength: u32,
    plainLength: u32
  }),
  segment: message('segment', { request: u32, bytes: bytes(1, limits.segmentBytesMax) }),
  refuse: message('refuse', { request: u32, reason: fc.constantFrom(...refusalReasons) }),
  redirect: message('redirect', { request: u32, to: peers }),
  interest: message('interest', { imageId: anyId, itemCount: u32 }),
  'have-all': message('have-all', { imageId: anyId }),
  'have-map': message('have-map', {
    imageId: anyId,
    first: fc.nat(0x1fff_ffff).map(n => n * 8),
    bits: bytes(1, 2_000)
  }),
  have: message('have', { imageId: anyId, items }),
  'have-not': message('have-not', { imageId: anyId, items }),
  read: message('read', { imageId: anyId, items }),
  seeds: message('seeds', {
    imageId: anyId,
    seeds: fc.array(text, { maxLength: limits.addressesPerPeerMax })
  }),
  peers: message('peers', { peers }),
  ping: message('ping', { nonce: u32 }),
  pong: message('pong', { nonce: u32 }),
  resolve: message('resolve', { request: u32, name: text }),
  release: message('release', { request: u32, release: bytes(0, limits.releaseBytesMax) }),
  completion: message('completion', { signed: bytes(1, limits.completionBytesMax) }),
  boot: message('boot', { imageId: anyId, bytes: bytes(8, 400) }),
  profile: message('profile', { imageId: anyId, machines: u32, bytes: bytes(1, 400) }),
  report: message('report', { report })
}

export const messageTypes = Object.keys(byType) as Message['type'][]
export const anyMessage = fc.oneof(...Object.values(byType))

/** As large as each kind of message gets. */
export const largestMessages: readonly Message[] = [
  { type: 'segment', request: 1, bytes: new Uint8Array(limits.segmentBytesMax) },
  {
    type: 'have',
    imageId: 'ab'.repeat(32),
    items: Array.from({ length: haveItemsMax }, () => 0xffff_ffff)
  },
  { type: 'have-map', imageId: 'ab'.repeat(32), first: 0, bits: new Uint8Array(64 * 1024) },
  { type: 'release', request: 1, release: new Uint8Array(limits.releaseBytesMax) },
  { type: 'resolve', request: 1, name: 'n'.repeat(512) },
  {
    type: 'boot',
    imageId: 'ab'.repeat(32),
    bytes: new Uint8Array(8 * limits.bootChunksMax)
  },
  {
    type: 'profile',
    imageId: 'ab'.repeat(32),
    machines: 0xffff_ffff,
    bytes: new Uint8Array(limits.profileBytesMax)
  },
  {
    type: 'peers',
    peers: Array.from({ length: limits.neighboursMax }, () => ({
      peerId: 'p'.repeat(512),
      addresses: Array.from({ length: limits.addressesPerPeerMax }, () => 'a'.repeat(512))
    }))
  }
]

/** Buffers and other views compare unequal to plain byte arrays; here only their bytes count. */
export function comparable(value: Message): unknown {
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      field instanceof Uint8Array ? new Uint8Array(field) : (field as unknown)
    ])
  )
}

/** A reader gives a segment in as many parts as it came in: here they are one again. */
export function joinSegments(messages: readonly Message[]): Message[] {
  const joined: Message[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    const continues =
      message.type === 'segment' && last?.type === 'segment' && last.request === message.request
    if (continues) joined.pop()
    joined.push(
      continues ? { ...message, bytes: Buffer.concat([last.bytes, message.bytes]) } : message
    )
  }
  return joined
}
