import fc from 'fast-check'
import { limits, requestClasses } from '../../src/base/index.ts'
import {
  haveItemsMax,
  protocolVersion,
  refusalReasons,
  type Answer,
  type MachineReport,
  type Want,
  type WireMessage
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

function message<T extends WireMessage['type']>(
  type: T,
  fields: { [F in Exclude<keyof Extract<WireMessage, { type: T }>, 'type'>]: fc.Arbitrary<unknown> }
): fc.Arbitrary<WireMessage> {
  return fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<WireMessage>
}

const anyWant = message('want', {
  request: u32,
  class: fc.constantFrom(...requestClasses),
  insist: fc.boolean(),
  id: anyId
}) as fc.Arbitrary<Want>
const accept = message('accept', { request: u32, waiting: fc.boolean() })
const refuse = message('refuse', { request: u32, reason: fc.constantFrom(...refusalReasons) })
/** Of one peer always the same addresses: those of a list are named once. */
const redirectToOne = fc.record({ request: u32, peer: fc.nat(9) }).map(({ request, peer }) => ({
  type: 'redirect',
  request,
  to: [{ peerId: `peer ${peer}`, addresses: [`/ip4/10.0.0.${peer}/tcp/1`] }]
}))
const listed = { minLength: 1, maxLength: limits.listMessagesMax }

/** Wants and answers, as they may follow one another in one list. */
export const anyWants = fc.array(anyWant, listed)
export const anyAnswers = fc.array(
  fc.oneof(accept, refuse, redirectToOne) as fc.Arbitrary<Answer>,
  listed
)

const byType: { readonly [T in WireMessage['type']]: fc.Arbitrary<WireMessage> } = {
  hello: fc.record(
    {
      type: fc.constant('hello' as const),
      version: fc.constant(protocolVersion),
      certificate: bytes(0, 400),
      listen: addresses,
      location: fc.stringMatching(/^[\w.-]{1,20}(\/[\w.-]{1,20}){0,2}$/),
      lists: fc.boolean()
    },
    { requiredKeys: ['type', 'version', 'certificate', 'listen'] }
  ),
  want: anyWant,
  wants: message('wants', { wants: anyWants }),
  answers: message('answers', { answers: anyAnswers }),
  cancel: message('cancel', { request: u32 }),
  got: message('got', { request: u32 }),
  more: message('more', {
    request: u32,
    class: fc.constantFrom(...requestClasses),
    imageId: anyId
  }),
  give: message('give', { request: u32, id: anyId }),
  accept,
  frame: message('frame', {
    request: u32,
    encoding: fc.constantFrom('plain', 'zstd'),
    frameLength: u32,
    plainLength: u32
  }),
  segment: message('segment', { request: u32, bytes: bytes(1, limits.segmentBytesMax) }),
  refuse,
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

export const messageTypes = Object.keys(byType) as WireMessage['type'][]
export const anyMessage = fc.oneof(...Object.values(byType))

/** As large as each kind of message gets. */
export const largestMessages: readonly WireMessage[] = [
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
    type: 'wants',
    wants: Array.from({ length: limits.listMessagesMax }, () => ({
      type: 'want',
      request: 0xffff_ffff,
      class: 'background',
      insist: true,
      id: 'ab'.repeat(32)
    }))
  },
  {
    type: 'answers',
    answers: Array.from({ length: limits.listMessagesMax }, (_, n) => ({
      type: 'redirect',
      request: 0xffff_ffff,
      to: [
        {
          peerId: String(n).padStart(512, 'p'),
          addresses: Array.from({ length: limits.addressesPerPeerMax }, () => 'a'.repeat(512))
        }
      ]
    }))
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
export function comparable(value: WireMessage): unknown {
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      field instanceof Uint8Array ? new Uint8Array(field) : (field as unknown)
    ])
  )
}

/** A reader gives a segment in as many parts as it came in: here they are one again. */
export function joinSegments(messages: readonly WireMessage[]): WireMessage[] {
  const joined: WireMessage[] = []
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
