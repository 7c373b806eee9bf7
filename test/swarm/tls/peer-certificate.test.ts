import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { peerOfCertificate } from '../../../src/swarm/tls/peer-certificate.ts'
import { rejectsWith } from '../../helpers/errors.ts'
import { makeIdentity } from './certificates.ts'

/** A certificate such as any web server may have, made by the openssl program. */
function foreignCertificate(t: ExecutionContext, extra: readonly string[] = []): X509Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'bootswarm-tls-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'cert.pem')
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const files = ['-keyout', join(directory, 'key.pem'), '-out', file]
  execFileSync('openssl', [...request, ...files, '-subj', '/CN=pc', ...extra], { stdio: 'ignore' })
  return new X509Certificate(readFileSync(file))
}

test('a certificate names the peer that made it, now and at any time', async t => {
  const { certificate, peerId } = await makeIdentity()
  const times = [undefined, 0, Date.parse('2026-01-01'), Date.parse('2090-01-01')]
  for (const nowMs of times) {
    const peer = await peerOfCertificate(certificate, peerId, nowMs)
    t.true(peer.equals(peerId))
  }
  t.true((await peerOfCertificate(certificate, undefined)).equals(peerId))
})

test('openssl finds nothing wrong with our certificate but who signed it', async t => {
  const { own } = await makeIdentity()
  const lint = ['x509', '-noout', '-text']
  const text = execFileSync('openssl', lint, { input: own.cert, encoding: 'utf8' })
  t.regex(text, /1\.3\.6\.1\.4\.1\.53594\.1\.1: critical/)
  t.regex(text, /Not Before: Jan {2}1 00:00:00 1970 GMT/)
  t.regex(text, /Not After : Dec 31 23:59:59 9999 GMT/)
  t.regex(text, /ecdsa-with-SHA256/)
})

test("another peer's certificate is not taken for the one expected", async t => {
  const [one, other] = [await makeIdentity(), await makeIdentity()]
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', peerOfCertificate(one.certificate, other.peerId))
})

test('no certificate, or one without the key of a peer, is refused', async t => {
  await rejectsWith(t, 'ERR_PEER_UNTRUSTED', peerOfCertificate(undefined, undefined))
  const error = await rejectsWith(
    t,
    'ERR_PEER_UNTRUSTED',
    peerOfCertificate(foreignCertificate(t), undefined)
  )
  t.regex(error.message, /extension is missing/)
})

test('a certificate whose key extension is nonsense is refused', async t => {
  const extension = '1.3.6.1.4.1.53594.1.1=critical,DER:30050403616263'
  const certificate = foreignCertificate(t, ['-addext', extension])
  const error = await rejectsWith(
    t,
    'ERR_PEER_UNTRUSTED',
    peerOfCertificate(certificate, undefined)
  )
  t.regex(error.message, /malformed/)
})

test('the key extension of another certificate, signed for another key, is refused', async t => {
  const { certificate: theirs } = await makeIdentity()
  const hex = theirs.raw.toString('hex')
  const value = /060a2b0601040183a25a01010101ff04(?:81)?..(30.*)$/.exec(hex)?.[1] ?? ''
  const length = 2 + Number.parseInt(value.slice(2, 4), 16)
  const stolen = value.slice(0, 2 * length)
  const extension = `1.3.6.1.4.1.53594.1.1=critical,DER:${stolen}`
  const certificate = foreignCertificate(t, ['-addext', extension])
  const error = await rejectsWith(
    t,
    'ERR_PEER_UNTRUSTED',
    peerOfCertificate(certificate, undefined)
  )
  t.regex(error.message, /has not signed it/)
})

test('a certificate that has expired, or is not valid yet, is refused', async t => {
  const certificate = foreignCertificate(t, ['-days', '1'])
  const day = 24 * 60 * 60 * 1000
  const expired = peerOfCertificate(certificate, undefined, Date.now() + 2 * day)
  t.regex((await rejectsWith(t, 'ERR_PEER_UNTRUSTED', expired)).message, /expired/)
  const early = peerOfCertificate(certificate, undefined, Date.now() - 2 * day)
  t.regex((await rejectsWith(t, 'ERR_PEER_UNTRUSTED', early)).message, /not valid yet/)
})

test('a certificate that another has signed is refused', async t => {
  const { certificate } = await makeIdentity()
  const changed = Buffer.from(certificate.raw)
  // The name after the serial number: the same in issuer and subject, and covered by the signature.
  changed.write('Bootswarm', changed.indexOf('bootswarm'))
  const error = await rejectsWith(
    t,
    'ERR_PEER_UNTRUSTED',
    peerOfCertificate(new X509Certificate(changed), undefined)
  )
  t.regex(error.message, /signed by itself/)
})

test('a certificate with any byte changed is refused, or cannot even be read', async t => {
  const { certificate, peerId } = await makeIdentity()
  const change = fc.tuple(
    fc.nat({ max: certificate.raw.length - 1 }),
    fc.integer({ min: 1, max: 255 })
  )
  await fc.assert(
    fc.asyncProperty(change, async ([at, mask]) => {
      const bytes = Buffer.from(certificate.raw)
      bytes[at] = (bytes[at] ?? 0) ^ mask
      let changed: X509Certificate
      try {
        changed = new X509Certificate(bytes)
      } catch {
        return
      }
      await rejectsWith(t, 'ERR_PEER_UNTRUSTED', peerOfCertificate(changed, peerId))
    }),
    { numRuns: 200 }
  )
})
