import { decode, encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import {
  decodeBootOrder,
  encodeBootOrder,
  mergeBoots,
  openProfile,
  signProfile,
  type BootStep
} from '../../src/image/boot-profile.ts'
import { chunkIdOf } from '../../src/image/ids.ts'
import { failsOnlyAsOurs, throwsWith } from '../helpers/errors.ts'

const lab = generateSigningKey()
const imageId = chunkIdOf(Buffer.from('root'))
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const anySteps: fc.Arbitrary<BootStep[]> = fc.uniqueArray(fc.record({ position: u32, ms: u32 }), {
  selector: ({ position }) => position,
  minLength: 1,
  maxLength: 60
})
const at = (...positions: number[]): BootStep[] =>
  positions.map((position, index) => ({ position, ms: index * 10 }))
const positionsOf = (steps: readonly BootStep[]): number[] => steps.map(({ position }) => position)

test('an order gives back what was packed, and a profile what was signed', t => {
  fc.assert(
    fc.property(anySteps, fc.integer({ min: 1, max: 100 }), (steps, reports) => {
      t.deepEqual(decodeBootOrder(encodeBootOrder(steps)), steps)
      const profile = { imageId, reports, steps }
      t.deepEqual(openProfile(lab.publicKey, signProfile(lab, profile)), profile)
    }),
    { numRuns: 50 }
  )
})

test('an order that is empty, torn, too long or names a chunk twice is none', t => {
  t.is(decodeBootOrder(new Uint8Array()), undefined)
  t.is(decodeBootOrder(encodeBootOrder(at(1, 2)).subarray(1)), undefined)
  t.is(decodeBootOrder(encodeBootOrder(at(1, 2, 1))), undefined)
  const many = Array.from({ length: limits.bootChunksMax + 1 }, (_, position) => position)
  t.is(decodeBootOrder(encodeBootOrder(at(...many))), undefined)
  t.is(decodeBootOrder(encodeBootOrder(at(...many.slice(1))))?.length, limits.bootChunksMax)
})

test('the longest profile fits its limit', t => {
  const steps = Array.from({ length: limits.bootChunksMax }, (_, position) => ({ position, ms: 1 }))
  const signed = signProfile(lab, { imageId, reports: 8, steps })
  t.true(signed.length <= limits.profileBytesMax)
  t.is(openProfile(lab.publicKey, signed).steps.length, limits.bootChunksMax)
})

test('a profile of another lab, or with any byte changed, is refused', t => {
  const profile = { imageId, reports: 2, steps: at(3, 1, 2) }
  const foreign = signProfile(generateSigningKey(), profile)
  throwsWith(t, 'ERR_PROFILE_UNTRUSTED', () => openProfile(lab.publicKey, foreign))
  const signed = signProfile(lab, profile)
  const changes = fc.tuple(fc.nat(signed.length - 1), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(changes, ([place, by]) => {
      const bytes = Uint8Array.from(signed)
      bytes[place] = (bytes[place] ?? 0) ^ by
      t.throws(() => openProfile(lab.publicKey, bytes))
    }),
    { numRuns: 60 }
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes =>
      failsOnlyAsOurs(() => openProfile(lab.publicKey, bytes))
    )
  )
})

test('a profile of a later version says so', t => {
  const envelope = decode<object>(signProfile(lab, { imageId, reports: 1, steps: at(1) }))
  const later = encode({ ...envelope, version: 2 })
  throwsWith(t, 'ERR_FORMAT_VERSION', () => openProfile(lab.publicKey, later))
})

test('several boots make one order: by the median place, of what half of them touched', t => {
  const merged = mergeBoots([at(1, 2, 3, 4), at(1, 3, 2, 4), at(1, 2, 3, 5)])
  t.deepEqual(positionsOf(merged), [1, 2, 3, 4])
})

test('one odd machine neither adds a chunk nor changes the order of the others', t => {
  fc.assert(
    fc.property(anySteps, anySteps, (usual, odd) => {
      const merged = positionsOf(mergeBoots([usual, usual, usual, odd]))
      t.deepEqual(merged, positionsOf(usual))
    }),
    { numRuns: 50 }
  )
})

test('a single report is believed, and no report is nothing', t => {
  t.deepEqual(mergeBoots([at(9, 2, 5)]), at(9, 2, 5))
  t.deepEqual(mergeBoots([]), [])
})
