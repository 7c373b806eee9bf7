import { join } from 'node:path'
import test from 'ava'
import { rememberAddresses, seedKey } from '../../src/seed/identity.ts'
import { makeTicket } from '../../src/seed/ticket.ts'
import { decodeTicket, isTicketSecret, peerIdOf } from '../../src/swarm/index.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { newStore } from './samples.ts'

test('a ticket carries the lab’s key, its seed, its end, and a secret that the store knows again', async t => {
  const { store, directory } = await newStore(t)
  const expiresMs = Date.now() + 60_000
  const peerId = peerIdOf(await seedKey(store))
  const address = `/ip4/192.168.1.5/tcp/4910/p2p/${peerId}`
  await rememberAddresses(store, [`/ip4/127.0.0.1/tcp/4910/p2p/${peerId}`, address])
  const ticket = decodeTicket(await makeTicket(directory, expiresMs))
  t.deepEqual(Buffer.from(ticket.labKey), Buffer.from(store.lab.publicKey))
  t.deepEqual(ticket.seeds, [address], 'loopback is of no use to other machines')
  t.is(ticket.expiresMs, expiresMs)
  t.true(isTicketSecret(store.enrolSecret, expiresMs, ticket.secret))
})

test('in a lab on one host, loopback is what there is', async t => {
  const { store, directory } = await newStore(t)
  const address = `/ip4/127.0.0.1/tcp/4910/p2p/${peerIdOf(await seedKey(store))}`
  await rememberAddresses(store, [address])
  t.deepEqual(decodeTicket(await makeTicket(directory, 1)).seeds, [address])
})

test('without a store there is no ticket', async t => {
  const directory = await temporaryDirectory(t)
  await rejectsWith(t, 'ERR_STORE_INVALID', makeTicket(directory, 1))
  await rejectsWith(t, 'ERR_STORE_MISSING', makeTicket(join(directory, 'missing'), 1))
})
