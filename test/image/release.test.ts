import { encode, decode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { generateSigningKey, limits, sign } from '../../src/base/index.ts'
import { chunkIdOf, imageCidText, linkTo } from '../../src/image/ids.ts'
import { openRelease, parseImageName, signRelease } from '../../src/image/release.ts'
import { failsOnlyAsOurs, throwsWith } from '../helpers/errors.ts'

const lab = generateSigningKey()
const imageId = chunkIdOf(Buffer.from('root'))
const release = { name: 'debian', tag: '12', imageId, serial: 3, createdMs: 1_700_000_000_000 }

const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,30}$/)

test('a release gives back what was signed', t => {
  fc.assert(
    fc.property(word, word, fc.maxSafeNat(), fc.maxSafeNat(), (name, tag, serial, createdMs) => {
      const signed = { name, tag, imageId, serial, createdMs }
      t.deepEqual(openRelease(lab.publicKey, signRelease(lab, signed)), signed)
    }),
    { numRuns: 30 }
  )
})

test('the longest release fits its limit', t => {
  const long = 'a'.repeat(limits.nameLengthMax)
  const bytes = signRelease(lab, { ...release, name: long, tag: long })
  t.true(bytes.length <= limits.releaseBytesMax)
  t.is(openRelease(lab.publicKey, bytes).name, long)
})

test('a release of another lab is refused', t => {
  const bytes = signRelease(generateSigningKey(), release)
  throwsWith(t, 'ERR_RELEASE_UNTRUSTED', () => openRelease(lab.publicKey, bytes))
})

test('a release with any byte changed is refused', t => {
  const bytes = signRelease(lab, release)
  const changed = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(changed, ([at, flip]) => {
      const copy = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ flip : byte))
      t.throws(() => openRelease(lab.publicKey, copy))
      return failsOnlyAsOurs(() => openRelease(lab.publicKey, copy))
    }),
    { numRuns: 1000 }
  )
})

test('any bytes are refused with an error of ours', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes =>
      failsOnlyAsOurs(() => openRelease(lab.publicKey, bytes))
    )
  )
  const long = new Uint8Array(limits.releaseBytesMax + 1)
  throwsWith(t, 'ERR_RELEASE_UNTRUSTED', () => openRelease(lab.publicKey, long))
})

test('what the lab signed for another purpose, or malformed, is no release', t => {
  const { payload } = decode<{ payload: Uint8Array }>(signRelease(lab, release))
  const envelope = (bytes: Uint8Array, purpose: string) =>
    encode({ version: 1, payload: bytes, signature: sign(lab, purpose, bytes) })
  t.deepEqual(openRelease(lab.publicKey, envelope(payload, 'release')), release)
  const image = linkTo(imageId, 'dag-cbor')
  const fields = { name: 'a', tag: 'b', image, serial: 1, createdMs: 1 }
  const bad = [
    envelope(payload, 'certificate'),
    envelope(encode({ ...fields, name: 'A' }), 'release'),
    envelope(encode({ ...fields, serial: -1 }), 'release'),
    envelope(encode({ ...fields, image: linkTo(imageId, 'raw') }), 'release'),
    envelope(encode({ ...fields, more: 1 }), 'release'),
    envelope(new Uint8Array(3), 'release')
  ]
  for (const bytes of bad) {
    throwsWith(t, 'ERR_RELEASE_UNTRUSTED', () => openRelease(lab.publicKey, bytes))
  }
})

test('a release of another version says so', t => {
  throwsWith(t, 'ERR_FORMAT_VERSION', () => openRelease(lab.publicKey, encode({ version: 2 })))
})

test('names have a tag, latest if none is given', t => {
  t.deepEqual(parseImageName('debian'), { name: 'debian', tag: 'latest' })
  t.deepEqual(parseImageName('debian:12.5-lab_1'), { name: 'debian', tag: '12.5-lab_1' })
})

test('malformed names are refused', t => {
  const long = 'a'.repeat(limits.nameLengthMax + 1)
  const bad = [
    '',
    ':',
    'a:',
    ':a',
    'a:b:c',
    'A',
    'a b',
    '-a',
    '.a',
    'a/b',
    '../a',
    'ä',
    'a\n',
    long
  ]
  for (const text of [...bad, imageCidText(imageId)]) {
    throwsWith(t, 'ERR_NAME_INVALID', () => parseImageName(text))
  }
})
