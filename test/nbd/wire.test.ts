import test from 'ava'
import fc from 'fast-check'
import {
  commands,
  decodeInfoQuery,
  decodeMetaQuery,
  decodeOptionHeader,
  decodeRequest,
  decodeStatusQuery,
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportNameReply,
  encodeGreeting,
  encodeOptionReply,
  encodeServerEntry,
  encodeTextInfo,
  nameOf,
  optionReplies,
  replyErrors
} from '../../src/nbd/wire.ts'
import { encodeSimpleReply } from '../../src/nbd/reply-wire.ts'
import { infoQueryBytes, metaQueryBytes, optionBytes, requestBytesOf } from './client-bytes.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('greeting: magic, option magic, flags', t => {
  t.is(hex(encodeGreeting(3)), `${hex(Buffer.from('NBDMAGICIHAVEOPT'))}0003`)
})

test('option reply: magic, option, kind, length, data', t => {
  t.is(hex(encodeOptionReply(6, 0x80000001)), '0003e889045565a9000000068000000100000000')
  t.is(
    hex(encodeOptionReply(3, 2, Buffer.from('hi'))),
    '0003e889045565a90000000300000002000000026869'
  )
})

test('error replies have the top bit', t => {
  t.is(optionReplies.ERR_UNSUP, 2147483649)
  t.is(optionReplies.ERR_INVALID, 2147483651)
  t.is(optionReplies.ERR_UNKNOWN, 2147483654)
})

test('export name reply: size and flags, then 124 zero bytes for old clients', t => {
  t.is(hex(encodeExportNameReply(0x123456789a, 0x10d, true)), '000000123456789a010d')
  const padded = encodeExportNameReply(512, 1, false)
  t.is(padded.length, 134)
  t.true(padded.subarray(10).every(byte => byte === 0))
})

test('infos', t => {
  t.is(hex(encodeExportInfo(0x1000, 0x10d)), '00000000000000001000010d')
  t.is(hex(encodeTextInfo(2, 'é')), '0002c3a9')
  t.is(hex(encodeBlockSizeInfo(1, 4096, 32 << 20)), '0003000000010000100002000000')
  t.is(hex(encodeServerEntry('é', 'd')), '00000002c3a964')
})

test('simple reply: magic, error, cookie', t => {
  const bytes = encodeSimpleReply(replyErrors.ENOSPC, 0xfedcba9876543210n)
  t.is(hex(bytes), '674466980000001cfedcba9876543210')
})

test('option header: needs its magic', t => {
  t.deepEqual(decodeOptionHeader(optionBytes(7, Buffer.alloc(9)).subarray(0, 16)), {
    option: 7,
    length: 9
  })
  t.is(decodeOptionHeader(Buffer.alloc(16)), undefined)
})

test('request: every field, the largest too', t => {
  fc.assert(
    fc.property(
      fc.nat({ max: 0xffff }),
      fc.nat({ max: 0xffff }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat({ max: 0xffff_ffff }),
      (flags, command, cookie, offset, length) => {
        const decoded = decodeRequest(
          requestBytesOf({ flags, command, cookie, offset, length }),
          'structured'
        )
        return (
          decoded !== undefined &&
          decoded.flags === flags &&
          decoded.command === command &&
          decoded.cookie === cookie &&
          decoded.offset === Number(offset) &&
          decoded.length === length
        )
      }
    )
  )
  t.is(decodeRequest(Buffer.alloc(28), 'simple'), undefined)
})

test('info query: what a client asks for', t => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 50 }),
      fc.array(fc.nat({ max: 0xffff }), { maxLength: 20 }),
      (name, infos) => {
        const query = decodeInfoQuery(infoQueryBytes(name, infos))
        t.deepEqual(query, { name, infos: new Set(infos) })
      }
    )
  )
  t.pass()
})

test('meta query: what a client asks for, and nothing where lengths do not add up', t => {
  const text = fc.string({ unit: 'grapheme', maxLength: 30 })
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 9 }), (name, queries) => {
      const bytes = metaQueryBytes(name, queries)
      t.deepEqual(decodeMetaQuery(bytes), { name, queries })
      t.is(decodeMetaQuery(bytes.subarray(0, -1)), undefined)
      t.is(decodeMetaQuery(Buffer.concat([bytes, Buffer.alloc(1)])), undefined)
    })
  )
  t.is(decodeMetaQuery(Buffer.from('00000000ffffffff', 'hex')), undefined)
})

test('info query: lengths that do not add up are refused', t => {
  const good = infoQueryBytes('name', [1, 2])
  t.is(decodeInfoQuery(good.subarray(0, -1)), undefined)
  t.is(decodeInfoQuery(Buffer.concat([good, Buffer.alloc(1)])), undefined)
  t.is(decodeInfoQuery(Buffer.alloc(0)), undefined)
  t.is(decodeInfoQuery(Buffer.from('ffffffff00000000', 'hex')), undefined)
  t.is(decodeInfoQuery(infoQueryBytes('x'.repeat(4097))), undefined)
})

test('arbitrary bytes decode to something or to nothing, and never throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 80 }), bytes => {
      const buffer = Buffer.from(bytes)
      decodeOptionHeader(buffer)
      decodeInfoQuery(buffer)
      decodeRequest(buffer, 'simple')
      decodeRequest(buffer, 'extended')
      decodeMetaQuery(buffer)
      decodeStatusQuery(buffer)
    })
  )
  t.pass()
})

test('names for logs come from the tables', t => {
  t.is(nameOf(commands, 3), 'FLUSH')
  t.is(nameOf(commands, 77), 'unknown (77)')
})
