import { createHash } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import {
  chunkIdOf,
  idOfCidText,
  idOfLink,
  imageCidText,
  isChunkId,
  isZero,
  linkTo,
  zeroId
} from '../../src/image/ids.ts'

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const anyId = digest.map(bytes => Buffer.from(bytes).toString('hex'))

test('a chunk is named by the sha2-256 of its bytes', t => {
  const bytes = Buffer.from('chunk')
  t.is(chunkIdOf(bytes), createHash('sha256').update(bytes).digest('hex'))
  t.true(isChunkId(chunkIdOf(bytes)))
})

test('the CID of the empty block is the one that IPFS tools print', t => {
  const empty = chunkIdOf(Buffer.alloc(0))
  t.is(
    linkTo(empty, 'raw').toString(),
    'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
  )
})

test('CID text and id are each other’s inverse', t => {
  fc.assert(
    fc.property(anyId, fc.constantFrom('raw' as const, 'dag-cbor' as const), (id, codec) => {
      const link = linkTo(id, codec)
      return idOfCidText(link.toString()) === id && idOfLink(link, codec) === id
    })
  )
  t.pass()
})

test('a link of another codec is not taken', t => {
  t.is(idOfLink(linkTo(zeroId, 'raw'), 'dag-cbor'), undefined)
  t.is(idOfLink('bafk', 'raw'), undefined)
})

test('text that is no CID of ours is none', t => {
  const image = imageCidText(zeroId)
  for (const text of [
    '',
    'debian',
    image.slice(0, -1),
    `${image}a`,
    image.toUpperCase(),
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
    'x'.repeat(10_000)
  ]) {
    t.is(idOfCidText(text), undefined)
  }
})

test('any text either parses or is refused', t => {
  fc.assert(fc.property(fc.string(), text => idOfCidText(text) === undefined || text.length > 40))
  t.pass()
})

test('zero detection finds a single set bit anywhere', t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.nat(), fc.nat(7), (length, at, bit) => {
      const bytes = new Uint8Array(length)
      const wasZero = isZero(bytes)
      bytes[at % length] = 1 << bit
      return wasZero && !isZero(bytes)
    })
  )
  t.pass()
})

test('zero detection covers buffers longer than the largest chunk', t => {
  const bytes = new Uint8Array(9 * 1024 * 1024)
  t.true(isZero(bytes))
  bytes[bytes.length - 1] = 1
  t.false(isZero(bytes))
  t.true(isZero(new Uint8Array(0)))
})
