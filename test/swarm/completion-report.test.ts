import { decode, encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { generateSigningKey, isErrorCode, limits, sign } from '../../src/base/index.ts'
import { openCompletion, signCompletion } from '../../src/swarm/completion-report.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import { throwsWith } from '../helpers/errors.ts'
import { anyId } from './messages.ts'

const key = generateSigningKey()
const peerId = peerIdOf(key)
const count = fc.maxSafeNat()
const anyReport = fc.record({
  peerId: fc.constant(peerId),
  imageId: anyId,
  figures: fc.record({
    verifiedBytes: count,
    machineWrittenBytes: count,
    unverifiableBytes: count,
    seconds: fc.double({ min: 0, max: 1e9, noNaN: true }).map(value => value + 0),
    bytesFromSeed: count,
    bytesFromPeers: count,
    bytesLocal: count
  })
})
const [report] = fc.sample(anyReport, 1) as [Parameters<typeof signCompletion>[1]]

function signed(changes: Record<string, unknown>, purpose = 'completion'): Uint8Array {
  const { figures, ...about } = report
  const bytes = encode({ version: 1, ...about, ...figures, ...changes })
  return encode({ payload: bytes, signature: sign(key, purpose, bytes) })
}

test('a report gives back what was signed, and fits a message', t => {
  fc.assert(
    fc.property(anyReport, one => {
      const bytes = signCompletion(key, one)
      t.true(bytes.length <= limits.completionBytesMax / 2)
      t.deepEqual(openCompletion(peerId, bytes), one)
    }),
    { numRuns: 50 }
  )
})

test("another machine's report, or one signed by another key, is refused", t => {
  const other = generateSigningKey()
  throwsWith(t, 'ERR_PEER_PROTOCOL', () =>
    openCompletion(peerIdOf(other), signCompletion(key, report))
  )
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, signCompletion(other, report)))
  const stolen = signCompletion(key, { ...report, peerId: peerIdOf(other) })
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, stolen))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion('no peer id', stolen))
})

test('a report with any byte changed or cut off is refused', t => {
  const bytes = signCompletion(key, report)
  for (const [at, byte] of bytes.entries()) {
    for (const changed of [bytes.with(at, byte ^ 0x01), bytes.subarray(0, at)]) {
      throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, changed))
    }
  }
})

test('what is signed and makes no sense is refused; another version says so', t => {
  t.deepEqual(openCompletion(peerId, signed({})), report)
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, signed({}, 'certificate')))
  throwsWith(t, 'ERR_FORMAT_VERSION', () => openCompletion(peerId, signed({ version: 2 })))
  const odd = [
    { imageId: 'text' },
    { imageId: 7 },
    { verifiedBytes: -1 },
    { verifiedBytes: 0.5 },
    { machineWrittenBytes: 'many' },
    { bytesLocal: null },
    { seconds: -0.1 },
    { seconds: true },
    { more: 'x'.repeat(limits.completionBytesMax) }
  ]
  for (const changes of odd) {
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, signed(changes)))
  }
  const { payload, signature } = decode<Record<string, Uint8Array>>(signed({}))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, encode({ payload })))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => openCompletion(peerId, encode([payload, signature])))
})

test('any bytes are refused as no report', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        openCompletion(peerId, bytes)
        return false
      } catch (error) {
        return isErrorCode(error, 'ERR_PEER_PROTOCOL')
      }
    })
  )
  t.pass()
})
