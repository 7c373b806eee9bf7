import test, { type ExecutionContext } from 'ava'
import { generateSigningKey } from '../../src/base/index.ts'
import { enrolMachine } from '../../src/seed/enrolling.ts'
import { newBinding, openCertificate, peerIdOf, ticketSecret } from '../../src/swarm/index.ts'
import { throwsWith } from '../helpers/errors.ts'
import { newStore } from './samples.ts'

const nowMs = Date.parse('2026-01-01T12:00:00Z')
const expiresMs = nowMs + 1000

async function asking(t: ExecutionContext) {
  const { store } = await newStore(t)
  const peerId = peerIdOf(generateSigningKey())
  const secret = ticketSecret(store.enrolSecret, expiresMs)
  return { store, request: { peerId, name: 'pc-1', expiresMs, secret } }
}

test('who shows a ticket of this lab gets a certificate of an agent', async t => {
  const { store, request } = await asking(t)
  for (const when of [nowMs, expiresMs]) {
    const certificate = enrolMachine(store, request, when)
    t.deepEqual(openCertificate(store.lab.publicKey, request.peerId, certificate), {
      peerId: request.peerId,
      role: 'agent',
      name: 'pc-1'
    })
  }
})

test('an expired ticket is refused, with the time when it expired', async t => {
  const { store, request } = await asking(t)
  const error = throwsWith(t, 'ERR_TICKET_INVALID', () =>
    enrolMachine(store, request, expiresMs + 1)
  )
  t.true(error.message.includes('2026-01-01T12:00:01'))
})

test('a ticket cannot be prolonged, nor made for another lab', async t => {
  const { store, request } = await asking(t)
  const other = await newStore(t)
  const refused = [
    { ...request, expiresMs: expiresMs + 60_000 },
    { ...request, secret: new Uint8Array(32) },
    { ...request, secret: request.secret.subarray(1) }
  ]
  for (const wrong of refused) {
    throwsWith(t, 'ERR_TICKET_INVALID', () => enrolMachine(store, wrong, nowMs))
  }
  throwsWith(t, 'ERR_TICKET_INVALID', () => enrolMachine(other.store, request, nowMs))
})

test('a name that cannot be shown is refused', async t => {
  const { store, request } = await asking(t)
  for (const name of ['', 'x'.repeat(129), 'two\nlines', '\x1b[2J']) {
    throwsWith(t, 'ERR_TICKET_INVALID', () => enrolMachine(store, { ...request, name }, nowMs))
  }
})

async function askingBound(t: ExecutionContext) {
  const { store, request } = await asking(t)
  const bound = newBinding('52:54:00:12:34:56')
  const secret = ticketSecret(store.enrolSecret, expiresMs, bound)
  return { store, request: { ...request, secret, bound } }
}

test('a ticket for one machine is used once: its machine may ask again, no other may', async t => {
  const { store, request } = await askingBound(t)
  t.truthy(enrolMachine(store, request, nowMs))
  t.truthy(enrolMachine(store, request, nowMs))
  const other = { ...request, peerId: peerIdOf(generateSigningKey()) }
  const error = throwsWith(t, 'ERR_TICKET_USED', () => enrolMachine(store, other, nowMs))
  t.regex(error.message, /52:54:00:12:34:56/)
})

test('a ticket for one machine is of no use to another, nor without its machine', async t => {
  const { store, request } = await askingBound(t)
  const { bound, ...unbound } = request
  const refused = [
    unbound,
    { ...request, bound: { ...bound, machine: '52:54:00:12:34:57' } },
    { ...request, bound: newBinding(bound.machine) }
  ]
  for (const wrong of refused) {
    throwsWith(t, 'ERR_TICKET_INVALID', () => enrolMachine(store, wrong, nowMs))
  }
})

test('a ticket that was refused has not been used', async t => {
  const { store, request } = await askingBound(t)
  throwsWith(t, 'ERR_TICKET_INVALID', () => enrolMachine(store, { ...request, name: '' }, nowMs))
  const other = { ...request, peerId: peerIdOf(generateSigningKey()) }
  t.truthy(enrolMachine(store, other, nowMs))
})
