import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import {
  decodeIdentity,
  decodeSnapshot,
  decodeSuperblock,
  encodeIdentity,
  encodeSnapshot,
  encodeSuperblock,
  mapBytesOf,
  pageBytes,
  regionsOf
} from '../../src/disk/format.ts'
import type { Superblock } from '../../src/disk/format.ts'

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

const chunkExponent = fc.integer({ min: 14, max: 22 })
const sectors = fc.integer({ min: 1, max: 1_000_000_000 })
const superblocks: fc.Arbitrary<Superblock> = fc
  .tuple(sectors, chunkExponent, fc.integer({ min: 1, max: 1024 }), fc.nat({ max: 16384 }))
  .chain(([sectorCount, exponent, journalPages, asidePages]) => {
    const size = sectorCount * 512
    const chunkSize = 2 ** exponent
    const image = fc.record({
      imageId: bytes(32).map(id => Buffer.from(id).toString('hex')),
      size: fc.constant(size),
      chunkSize: fc.constant(chunkSize),
      chunkCount: fc.constant(Math.ceil(size / chunkSize))
    })
    return fc.record({
      instance: bytes(8),
      generation: fc.nat(),
      image,
      labKey: bytes(32),
      complete: fc.boolean(),
      blank: fc.boolean(),
      clean: fc.boolean(),
      crashed: fc.boolean(),
      writes: fc.constantFrom('keep' as const, 'discard' as const),
      relocating: fc.boolean(),
      handedOver: fc.boolean(),
      metadataOffset: fc.constantFrom(0, Math.ceil(size / pageBytes) * pageBytes),
      formerBytes: fc.nat(),
      targetMark: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      snapshotSlot: fc.constantFrom(0 as const, 1 as const),
      snapshotBytes: fc.nat({ max: mapBytesOf(size) }),
      snapshotCrc: fc.nat(),
      epoch: fc.nat(),
      journalBytes: fc.constant(journalPages * 2 * pageBytes),
      asideBytes: fc.constant(asidePages * pageBytes)
    })
  })

test('a superblock is read back as it was written, and no other bytes are one', t => {
  fc.assert(
    fc.property(
      superblocks,
      fc.nat({ max: 511 }),
      fc.integer({ min: 1, max: 255 }),
      (superblock, at, flip) => {
        const page = encodeSuperblock(superblock)
        t.is(page.length, pageBytes)
        t.deepEqual(decodeSuperblock(page), { kind: 'intact', superblock })
        page[at] = (page[at] ?? 0) ^ flip
        t.not(decodeSuperblock(page).kind, 'intact')
      }
    ),
    { numRuns: 100 }
  )
  t.deepEqual(decodeSuperblock(Buffer.alloc(pageBytes)), { kind: 'absent', zero: true })
  t.deepEqual(decodeSuperblock(Buffer.alloc(pageBytes, 1)), { kind: 'absent', zero: false })
})

test('a superblock that breaks a limit is damaged, whatever its checksum', t => {
  const sound = fc.sample(superblocks, { numRuns: 1, seed: 1 })[0]
  if (sound === undefined) return t.fail()
  const { image } = sound
  const unsound: Partial<Superblock>[] = [
    { image: { ...image, size: 0 } },
    { image: { ...image, size: 513 } },
    { image: { ...image, chunkSize: 3 * 16384 } },
    { journalBytes: limits.journalBytes * 2 },
    { journalBytes: pageBytes },
    { metadataOffset: 1 },
    { metadataOffset: Math.floor((image.size - 1) / pageBytes) * pageBytes || 1 },
    { formerBytes: 2 ** 53 },
    { asideBytes: limits.asideBytesMax + pageBytes },
    { snapshotBytes: 2 ** 50 }
  ]
  for (const changes of unsound) {
    t.is(decodeSuperblock(encodeSuperblock({ ...sound, ...changes })).kind, 'damaged')
  }
})

test('regions follow each other, in whole pages', t => {
  fc.assert(
    fc.property(superblocks, superblock => {
      const regions = regionsOf(superblock.image, superblock)
      const offsets = [
        ...regions.identityOffsets,
        ...regions.snapshotOffsets,
        ...regions.journalOffsets,
        regions.asideOffset,
        regions.endOffset
      ]
      t.deepEqual(
        offsets,
        [...offsets].sort((a, b) => a - b)
      )
      t.true(offsets.every(offset => offset % pageBytes === 0))
      t.is(regions.totalBytes, regions.endOffset + pageBytes)
    }),
    { numRuns: 100 }
  )
})

const entries = fc.record({
  position: fc.nat(),
  page: fc.nat(),
  length: fc.nat(),
  plainLength: fc.nat(),
  encoding: fc.constantFrom('plain' as const, 'zstd' as const),
  crc: fc.nat()
})

test('a snapshot is read back as it was written, and only at its length', t => {
  const image = { imageId: '', size: 10 * 16384, chunkSize: 16384, chunkCount: 10 }
  const snapshots = fc.record({
    map: bytes(10),
    zero: bytes(2),
    givenUp: bytes(2),
    touched: bytes(2),
    asides: fc.array(entries, { maxLength: 5 })
  })
  fc.assert(
    fc.property(snapshots, snapshot => {
      const encoded = encodeSnapshot(snapshot)
      const decoded = decodeSnapshot(encoded, image)
      t.deepEqual(decoded?.asides, snapshot.asides)
      for (const part of ['map', 'zero', 'givenUp', 'touched'] as const) {
        t.deepEqual(new Uint8Array(decoded?.[part] ?? []), snapshot[part])
      }
      t.is(decodeSnapshot(encoded.subarray(0, -1), image), undefined)
      t.is(decodeSnapshot(Buffer.concat([encoded, Buffer.alloc(1)]), image), undefined)
    })
  )
})

test('an identity is read back as it was written, and a torn one is none', t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 10_000 }),
      fc.nat({ max: 10_000 }),
      (identity, at) => {
        const encoded = encodeIdentity(identity, 5)
        t.deepEqual(decodeIdentity(encoded), { generation: 5, identity })
        const index = at % (16 + identity.length)
        encoded[index] = (encoded[index] ?? 0) ^ 1
        t.is(decodeIdentity(encoded), undefined)
      }
    )
  )
  t.is(decodeIdentity(Buffer.alloc(pageBytes)), undefined)
})
