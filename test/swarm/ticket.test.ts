import { hash } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { base64url } from 'multiformats/bases/base64'
import { generateSigningKey, isErrorCode } from '../../src/base/index.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import {
  decodeTicket,
  encodeTicket,
  isTicketSecret,
  newBinding,
  ticketSecret,
  type Ticket
} from '../../src/swarm/ticket.ts'
import { throwsWith } from '../helpers/errors.ts'

const peerId = peerIdOf(generateSigningKey())
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const seed = fc
  .tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
  .map(([host, port]) => `/ip4/${host}/tcp/${port}/p2p/${peerId}`)
const anyTicket: fc.Arbitrary<Ticket> = fc.record({
  labKey: bytes32,
  seeds: fc.array(seed, { minLength: 1, maxLength: 32 }),
  expiresMs: fc.maxSafeNat(),
  secret: bytes32
})

const ticket: Ticket = {
  labKey: generateSigningKey().publicKey,
  seeds: [`/ip4/192.168.1.2/tcp/4910/p2p/${peerId}`, `/ip6/fd00::1/tcp/4910/p2p/${peerId}`],
  expiresMs: 1_800_000_000_000,
  secret: new Uint8Array(32).fill(7)
}
const text = encodeTicket(ticket)

/** A ticket with a good check, whatever is in it. */
function withFields(fields: unknown): string {
  const payload = encode(fields)
  const check = hash('sha256', payload, 'buffer').subarray(0, 4)
  return `bootswarm1-${base64url.baseEncode(Buffer.concat([payload, check]))}`
}

function plain(opened: Ticket): Ticket {
  const { labKey, secret } = opened
  return { ...opened, labKey: new Uint8Array(labKey), secret: new Uint8Array(secret) }
}

test('a ticket gives back what it was made of, with space around it too', t => {
  fc.assert(
    fc.property(anyTicket, made => {
      t.deepEqual(plain(decodeTicket(encodeTicket(made))), made)
      t.deepEqual(plain(decodeTicket(` ${encodeTicket(made)}\n`)), made)
    }),
    { numRuns: 50 }
  )
})

test('a ticket can be pasted into a shell and a URL', t => {
  t.regex(text, /^bootswarm1-[A-Za-z0-9_-]+$/)
})

test('each character counts: changed, lost or swapped, the ticket is refused', t => {
  const damaged = [...text].flatMap((character, at) => {
    const other = character === 'A' ? 'B' : 'A'
    const head = text.slice(0, at)
    return [head + other + text.slice(at + 1), head + text.slice(at + 1)]
  })
  const swapped = [...text].slice(1).flatMap((character, at) => {
    const before = text[at] ?? ''
    return before === character ? [] : [text.slice(0, at) + character + before + text.slice(at + 2)]
  })
  for (const wrong of [...damaged, ...swapped]) {
    throwsWith(t, 'ERR_TICKET_INVALID', () => decodeTicket(wrong))
  }
})

test('a ticket of another version names the side to upgrade', t => {
  const body = text.slice('bootswarm1-'.length)
  const newer = throwsWith(t, 'ERR_FORMAT_VERSION', () => decodeTicket(`bootswarm2-${body}`))
  t.regex(newer.message, /upgrade this bootswarm/)
  const older = throwsWith(t, 'ERR_FORMAT_VERSION', () => decodeTicket(`bootswarm0-${body}`))
  t.regex(older.message, /upgrade the seed/)
  // A later format may look quite different after its version.
  throwsWith(t, 'ERR_FORMAT_VERSION', () => decodeTicket('bootswarm77-A'))
})

test('any text is refused as no ticket', t => {
  const anyText = fc.oneof(
    fc.string(),
    fc.string().map(tail => `bootswarm1-${tail}`),
    fc.uint8Array().map(bytes => `bootswarm1-${base64url.baseEncode(bytes)}`)
  )
  fc.assert(
    fc.property(anyText, wrong => {
      try {
        decodeTicket(wrong)
        return false
      } catch (error) {
        return isErrorCode(error, 'ERR_TICKET_INVALID')
      }
    }),
    { numRuns: 500 }
  )
  throwsWith(t, 'ERR_TICKET_INVALID', () => decodeTicket(`bootswarm1-${'A'.repeat(10_000)}`))
})

test('a ticket whose check is right and whose contents are not is refused', t => {
  const { labKey: lab, seeds, expiresMs: expires, secret } = ticket
  const fields = { lab, seeds, expires, secret }
  t.notThrows(() => decodeTicket(withFields(fields)))
  const bad: unknown[] = [
    null,
    [],
    7,
    'text',
    { ...fields, lab: lab.subarray(1) },
    { ...fields, lab: 'text' },
    { ...fields, secret: new Uint8Array(31) },
    { ...fields, expires: 1.5 },
    { ...fields, expires: '1' },
    { ...fields, expires: 2n ** 60n },
    { ...fields, seeds: 'text' },
    { ...fields, seeds: [1] },
    { ...fields, seeds: ['nonsense'] },
    { ...fields, seeds: ['/ip4/10.0.0.1/tcp/1'] },
    { ...fields, seeds: Array(33).fill(seeds[0]) }
  ]
  for (const wrong of bad) {
    throwsWith(t, 'ERR_TICKET_INVALID', () => decodeTicket(withFields(wrong)))
  }
})

test('a seed knows the secrets of its own tickets, each with its own end', t => {
  fc.assert(
    fc.property(bytes32, bytes32, fc.maxSafeNat(), fc.maxSafeNat(), (own, other, end, later) => {
      const secret = ticketSecret(own, end)
      t.is(secret.length, 32)
      t.true(isTicketSecret(own, end, secret))
      t.is(isTicketSecret(own, later, secret), later === end)
      t.is(isTicketSecret(other, end, secret), Buffer.compare(own, other) === 0)
      return !isTicketSecret(own, end, secret.subarray(1)) && !isTicketSecret(own, end, own)
    }),
    { numRuns: 50 }
  )
})

test('a ticket for one machine gives back whose it is, and nothing malformed is taken for one', t => {
  const bound = newBinding('52:54:00:12:34:56')
  const opened = decodeTicket(encodeTicket({ ...ticket, bound })).bound
  t.is(opened?.machine, bound.machine)
  t.is(Buffer.compare(opened?.nonce ?? Buffer.of(), bound.nonce), 0)
  t.is(decodeTicket(text).bound, undefined)
  const { labKey: lab, seeds, expiresMs: expires, secret } = ticket
  const { machine, nonce } = bound
  const bad = [
    ...[
      { machine },
      { nonce },
      { machine: 'pc-1', nonce },
      { machine: '52-54-00-12-34-56', nonce }
    ],
    ...[
      { machine, nonce: nonce.subarray(1) },
      { machine: 7, nonce }
    ]
  ]
  for (const wrong of bad) {
    const fields = { lab, seeds, expires, secret, ...wrong }
    throwsWith(t, 'ERR_TICKET_INVALID', () => decodeTicket(withFields(fields)))
  }
})

test("a bound ticket's secret is of its machine, and of that one ticket", t => {
  const own = new Uint8Array(32).fill(1)
  const bound = newBinding('52:54:00:12:34:56')
  const secret = ticketSecret(own, 5, bound)
  t.true(isTicketSecret(own, 5, secret, bound))
  t.false(isTicketSecret(own, 5, secret))
  t.false(isTicketSecret(own, 5, secret, newBinding(bound.machine)))
  t.false(isTicketSecret(own, 5, secret, { ...bound, machine: '52:54:00:12:34:57' }))
  t.false(isTicketSecret(own, 5, ticketSecret(own, 5), bound))
})
