import { randomBytes } from 'node:crypto'
import test from 'ava'
import { openOrCreateStore, openStore } from '../../src/store/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const use = { peerId: 'first', expiresMs: 2_000, nowMs: 1_000 }

test('a ticket is used by one peer, as often as it likes, also after a restart', async t => {
  const directory = await temporaryDirectory(t)
  const nonce = randomBytes(16)
  const store = await openOrCreateStore(directory)
  t.true(store.useTicket(nonce, use))
  t.true(store.useTicket(nonce, use))
  t.false(store.useTicket(nonce, { ...use, peerId: 'second' }))
  await store.close()
  const again = await openStore(directory)
  t.false(again.useTicket(nonce, { ...use, peerId: 'second' }))
  t.true(again.useTicket(randomBytes(16), { ...use, peerId: 'second' }))
  await again.close()
})

test('once it has expired nobody remembers it', async t => {
  const store = await openOrCreateStore(await temporaryDirectory(t))
  const nonce = randomBytes(16)
  t.true(store.useTicket(nonce, use))
  t.true(store.useTicket(nonce, { peerId: 'second', expiresMs: 9_000, nowMs: 2_001 }))
  await store.close()
})
