import { decode, encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import { decodeIdentity, encodeIdentity, newIdentity } from '../../src/agent/identity.ts'
import { peerIdOf } from '../../src/swarm/index.ts'

const peer = (index: number) => ({
  peerId: `peer-${index}`,
  addresses: [`/ip4/10.0.0.${index % 256}/tcp/4910`]
})

test('an identity is read back as it was kept', t => {
  const identity = {
    ...newIdentity(),
    certificate: Buffer.from('a certificate'),
    peers: [peer(1), peer(2)],
    completion: Buffer.from('a report')
  }
  const read = decodeIdentity(encodeIdentity(identity))
  t.deepEqual(read?.key.seed, identity.key.seed)
  t.is(read === undefined ? '' : peerIdOf(read.key), peerIdOf(identity.key))
  t.true(identity.certificate.equals(read?.certificate ?? new Uint8Array()))
  t.deepEqual(read?.peers, identity.peers)
  t.true(identity.completion.equals(read?.completion ?? new Uint8Array()))
  const fresh = decodeIdentity(encodeIdentity(newIdentity()))
  t.deepEqual([fresh?.certificate, fresh?.completion], [undefined, undefined])
})

test('every new machine has a key of its own', t => {
  t.not(peerIdOf(newIdentity().key), peerIdOf(newIdentity().key))
})

test('however many peers it knew, an identity fits its place in the metadata', t => {
  const address = `/ip6/2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff/tcp/65535/p2p/${'Q'.repeat(60)}`
  const peers = Array.from({ length: limits.peersKnownMax }, (_, index) => ({
    peerId: `${'P'.repeat(50)}${index}`,
    addresses: Array.from({ length: 16 }, () => address)
  }))
  const bytes = encodeIdentity({ ...newIdentity(), certificate: Buffer.alloc(1024), peers })
  t.true(bytes.length <= limits.identityBytesMax, `${bytes.length}`)
  t.is(decodeIdentity(bytes)?.peers.length, limits.peersIntroducedMax)
})

test('what is not an identity of this version is none, and never an error', t => {
  const kept: Record<string, unknown> = decode(encodeIdentity(newIdentity()))
  t.not(decodeIdentity(encode(kept)), undefined)
  for (const change of [{ version: 2 }, { key: new Uint8Array(31) }, { key: 'text' }]) {
    t.is(decodeIdentity(encode({ ...kept, ...change })), undefined)
  }
  const odd = { peers: [['id', 'no list'], 'text', [1, []], ['id', [1, '/ip4/10.0.0.1/tcp/1']]] }
  t.deepEqual(decodeIdentity(encode({ ...kept, ...odd }))?.peers, [
    { peerId: 'id', addresses: ['/ip4/10.0.0.1/tcp/1'] }
  ])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      t.is(decodeIdentity(bytes), undefined)
    })
  )
})
