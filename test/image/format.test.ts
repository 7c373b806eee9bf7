import { encode } from '@ipld/dag-cbor'
import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import {
  decodePage,
  decodeRoot,
  encodePage,
  encodeRoot,
  formatVersionError,
  geometryFault,
  isChunkSize
} from '../../src/image/format.ts'
import { chunkIdOf, linkTo, zeroId } from '../../src/image/ids.ts'
import { failsOnlyAsOurs, throwsWith } from '../helpers/errors.ts'

const anyId = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => Buffer.from(bytes).toString('hex'))
const someId = chunkIdOf(Buffer.from('page'))
const chunkSize = limits.chunkBytesMin

function decode(block: unknown) {
  const bytes = encode(block)
  return decodeRoot(chunkIdOf(bytes), bytes)
}

const goodRoot = {
  version: 1,
  size: 3 * chunkSize + 512,
  chunkSize,
  pages: [linkTo(someId, 'dag-cbor')]
}

test('a root gives back what was put into it', t => {
  const geometry = fc
    .tuple(fc.integer({ min: 14, max: 22 }), fc.integer({ min: 1, max: 20_000 }))
    .chain(([power, chunks]) => {
      const pages = Math.ceil(chunks / limits.pageChunksMax)
      return fc.record({
        size: fc.constant(chunks * 2 ** power),
        chunkSize: fc.constant(2 ** power),
        pageIds: fc.array(anyId, { minLength: pages, maxLength: pages })
      })
    })
  fc.assert(
    fc.property(geometry, fields => {
      const bytes = encodeRoot(fields)
      const root = decodeRoot(chunkIdOf(bytes), bytes)
      const chunkCount = fields.size / fields.chunkSize
      t.deepEqual(root, { ...fields, chunkCount, imageId: chunkIdOf(bytes) })
    }),
    { numRuns: 50 }
  )
})

test('a page gives back its digests, from ids or packed', t => {
  fc.assert(
    fc.property(fc.array(anyId, { minLength: 1, maxLength: 100 }), ids => {
      const bytes = encodePage(ids)
      const digests = decodePage(bytes, ids.length)
      t.is(Buffer.from(digests).toString('hex'), ids.join(''))
      return Buffer.from(encodePage(digests)).equals(bytes)
    })
  )
})

test('the same manifest has the same bytes for ever', t => {
  t.is(
    chunkIdOf(encodeRoot({ size: goodRoot.size, chunkSize, pageIds: [someId] })),
    '4ec22040ad499d3686666577973a5d4d5010e6a3e51f622599c7d12729f50051'
  )
  t.is(
    chunkIdOf(encodePage([zeroId, someId])),
    'f37e8203315ff24148756a3e6d34805cbff0dcfd60e430d13c73f8eb7717b688'
  )
})

test('a root that breaks a rule is refused', t => {
  t.is(decode(goodRoot).chunkCount, 4)
  const broken: object[] = [
    { ...goodRoot, size: 0 },
    { ...goodRoot, size: -512 },
    { ...goodRoot, size: 3 * chunkSize + 511 },
    { ...goodRoot, size: 512.5 },
    { ...goodRoot, size: '512' },
    { ...goodRoot, size: 2 ** 52 },
    { ...goodRoot, chunkSize: chunkSize / 2 },
    { ...goodRoot, chunkSize: 3 * chunkSize },
    { ...goodRoot, chunkSize: 2 * limits.chunkBytesMax },
    { ...goodRoot, pages: [] },
    { ...goodRoot, pages: [...goodRoot.pages, ...goodRoot.pages] },
    { ...goodRoot, pages: [linkTo(someId, 'raw')] },
    { ...goodRoot, pages: ['page'] },
    { ...goodRoot, pages: goodRoot.pages[0] },
    { ...goodRoot, more: 1 },
    { version: 1 },
    { ...goodRoot, version: '1' },
    []
  ]
  for (const block of broken) throwsWith(t, 'ERR_MANIFEST_INVALID', () => decode(block))
})

test('a root under another id is refused', t => {
  throwsWith(t, 'ERR_CHUNK_CORRUPT', () => decodeRoot(someId, encode(goodRoot)))
})

test('a block that is not in its one canonical form is refused', t => {
  // The integer 1 in two bytes instead of one (RFC 8949, 4.2.1).
  const canonical = Buffer.from(encode({ version: 1, digests: new Uint8Array(32) }))
  const at = canonical.indexOf('version') + 'version'.length
  const longer = Buffer.concat([
    canonical.subarray(0, at),
    Buffer.from([0x18, 0x01]),
    canonical.subarray(at + 1)
  ])
  t.is(canonical[at], 1)
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(longer, 1))
})

test('a page of another length, or without digests, is refused', t => {
  const page = encodePage([zeroId, someId])
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(page, 1))
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(encode({ version: 1, digests: 'x' }), 1))
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(encode({ version: 1 }), 1))
})

test('another version says which side to upgrade', t => {
  throwsWith(t, 'ERR_FORMAT_VERSION', () => decode({ version: 2, other: 'fields' }))
  throwsWith(t, 'ERR_FORMAT_VERSION', () => decodePage(encode({ version: 0 }), 1))
  t.not(formatVersionError('x', 2, 1).message, formatVersionError('x', 1, 2).message)
})

test('any bytes decode, or are refused with an error of ours', t => {
  const root = encodeRoot({ size: goodRoot.size, chunkSize, pageIds: [someId] })
  const page = encodePage([zeroId, someId])
  const damaged = fc
    .tuple(fc.constantFrom(root, page), fc.nat(), fc.nat(255))
    .map(([bytes, at, value]) => {
      const copy = Buffer.from(bytes)
      copy[at % copy.length] = value
      return copy
    })
  const any = fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged)
  fc.assert(
    fc.property(any, bytes => {
      const asRoot = failsOnlyAsOurs(() => decodeRoot(chunkIdOf(bytes), bytes))
      return asRoot && failsOnlyAsOurs(() => decodePage(bytes, 2))
    }),
    { numRuns: 1000 }
  )
  const nested = Buffer.alloc(100_000, 0x81)
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(nested, 1))
  const huge = new Uint8Array(limits.manifestBlockBytesMax + 1)
  throwsWith(t, 'ERR_MANIFEST_INVALID', () => decodePage(huge, 1))
})

test('geometry: chunk sizes are powers of two inside the limits', t => {
  t.true(isChunkSize(limits.chunkBytesDefault))
  t.false(isChunkSize(limits.chunkBytesDefault + 1))
  t.is(geometryFault(512, limits.chunkBytesMin), undefined)
  t.not(
    geometryFault(limits.chunksMax * limits.chunkBytesMin + 512, limits.chunkBytesMin),
    undefined
  )
})
