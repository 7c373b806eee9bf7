import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { expectedAddresses, rememberAddresses, seedKey } from '../../src/seed/identity.ts'
import { peerIdOf } from '../../src/swarm/index.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { newStore } from './samples.ts'

test('a store has one seed key for ever, which only its owner may read', async t => {
  const { store, directory } = await newStore(t)
  const key = await seedKey(store)
  t.deepEqual((await seedKey(store)).seed, key.seed)
  t.not(Buffer.compare(key.publicKey, store.lab.publicKey), 0)
  t.is((await stat(join(directory, 'seed-key'))).mode & 0o777, 0o600)
})

test('another seed of the lab has a key of its own, under a name of letters, digits and hyphens', async t => {
  const { store } = await newStore(t)
  const keys = await Promise.all([seedKey(store), seedKey(store, 'process-2')])
  t.not(Buffer.compare(keys[0].publicKey, keys[1].publicKey), 0)
  t.deepEqual((await seedKey(store, 'process-2')).seed, keys[1].seed)
  for (const as of ['', 'Second', '../key', 'a'.repeat(65)]) {
    await rejectsWith(t, 'ERR_USAGE', seedKey(store, as))
  }
})

test('before its first start a seed is expected at the host’s addresses, then where it was', async t => {
  const { store } = await newStore(t)
  const peerId = peerIdOf(await seedKey(store))
  const expected = await expectedAddresses(store)
  t.true(expected.length > 0)
  for (const address of expected) {
    t.true(address.endsWith(`/tcp/${limits.seedPort}/p2p/${peerId}`))
    t.notThrows(() => multiaddr(address))
  }
  const last = [`/ip4/10.1.2.3/tcp/5000/p2p/${peerId}`]
  await rememberAddresses(store, last)
  t.deepEqual(await expectedAddresses(store), last)
})
