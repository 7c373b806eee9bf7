import { decode, encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { generateSigningKey, isErrorCode, sign } from '../../src/base/index.ts'
import { isCertifiable, issueCertificate, openCertificate } from '../../src/swarm/certificate.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import { throwsWith } from '../helpers/errors.ts'

const lab = generateSigningKey()
const peerId = peerIdOf(generateSigningKey())
const certificate = { peerId, role: 'agent', name: 'pc-7' } as const

function signed(payload: unknown, purpose = 'certificate', key = lab): Uint8Array {
  const bytes = encode(payload)
  return encode({ payload: bytes, signature: sign(key, purpose, bytes) })
}

test('a certificate gives back what was signed', t => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 })
  fc.assert(
    fc.property(fc.constantFrom('seed', 'agent'), name, (role, text) => {
      const issued = { peerId, role, name: text.toWellFormed() } as const
      t.deepEqual(openCertificate(lab.publicKey, peerId, issueCertificate(lab, issued)), issued)
    }),
    { numRuns: 30 }
  )
})

test('a certificate of another lab is refused', t => {
  const bytes = issueCertificate(generateSigningKey(), certificate)
  throwsWith(t, 'ERR_PEER_UNTRUSTED', () => openCertificate(lab.publicKey, peerId, bytes))
})

test("another peer's certificate is refused", t => {
  const other = peerIdOf(generateSigningKey())
  const bytes = issueCertificate(lab, certificate)
  throwsWith(t, 'ERR_PEER_UNTRUSTED', () => openCertificate(lab.publicKey, other, bytes))
})

test('a certificate with any byte changed or cut off is refused', t => {
  const bytes = issueCertificate(lab, certificate)
  const refused = (changed: Uint8Array): void => {
    throwsWith(t, 'ERR_PEER_UNTRUSTED', () => openCertificate(lab.publicKey, peerId, changed))
  }
  for (const [at, byte] of bytes.entries()) {
    refused(bytes.with(at, byte ^ 0x01))
    refused(bytes.subarray(0, at))
  }
})

test('any bytes are refused as no certificate', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        openCertificate(lab.publicKey, peerId, bytes)
        return false
      } catch (error) {
        return isErrorCode(error, 'ERR_PEER_UNTRUSTED')
      }
    })
  )
  t.pass()
})

test('what the lab signed for another purpose is no certificate', t => {
  const payload = { version: 1, ...certificate }
  t.deepEqual(openCertificate(lab.publicKey, peerId, signed(payload)), certificate)
  throwsWith(t, 'ERR_PEER_UNTRUSTED', () =>
    openCertificate(lab.publicKey, peerId, signed(payload, 'release'))
  )
})

test('a signed certificate that lacks something is refused', t => {
  const payload = { version: 1, ...certificate }
  const bad = [
    null,
    [],
    { ...payload, peerId: 1 },
    { ...payload, role: 'admin' },
    { ...payload, name: null }
  ]
  for (const fields of bad) {
    const open = (): unknown => openCertificate(lab.publicKey, peerId, signed(fields))
    t.throws(open)
    throwsWith(
      t,
      fields === null || 'role' in fields ? 'ERR_PEER_UNTRUSTED' : 'ERR_FORMAT_VERSION',
      open
    )
  }
})

test('a certificate of another version says so, once the lab has signed it', t => {
  const payload = { version: 2, ...certificate }
  throwsWith(t, 'ERR_FORMAT_VERSION', () => openCertificate(lab.publicKey, peerId, signed(payload)))
  const foreign = signed(payload, 'certificate', generateSigningKey())
  throwsWith(t, 'ERR_PEER_UNTRUSTED', () => openCertificate(lab.publicKey, peerId, foreign))
})

test('the bytes are those in docs/swarm-wire.md', t => {
  const outer = decode<{ payload: Uint8Array }>(issueCertificate(lab, certificate))
  t.deepEqual(Object.keys(outer).toSorted(), ['payload', 'signature'])
  t.deepEqual(decode(outer.payload), { version: 1, ...certificate })
})

test('names that a seed signs are text of a bounded length', t => {
  const named = (name: string) => isCertifiable({ ...certificate, name })
  t.true(named('pc-7'))
  t.true(named('Raum 12, Platz 3 ü'))
  t.true(named('n'.repeat(128)))
  for (const name of ['', 'n'.repeat(129), 'a\nb', 'a\u0000', '\u001b[31m', '\u0085']) {
    t.false(named(name), JSON.stringify(name))
  }
  t.false(isCertifiable({ ...certificate, peerId: 'p'.repeat(129) }))
})
