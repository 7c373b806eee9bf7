import test from 'ava'
import fc from 'fast-check'
import {
  decodeAnswers,
  encodeConnect,
  encodeDisconnect,
  encodeGetFamily,
  encodeReconfigure,
  familyIdOf
} from '../../src/nbd/netlink.ts'

const device = {
  index: 3,
  sizeBytes: 0x1_0000_0000,
  blockBytes: 512,
  serverFlags: 0x10d,
  deadConnectionSeconds: 60,
  fd: 21
}

const hex = (bytes: Buffer): string => bytes.toString('hex')

test('asking for the family: header, command, name', t => {
  const header = '1c000000' + '1000' + '0500' + '00000000' + '00000000' + '03020000'
  t.is(hex(encodeGetFamily('nbd')), header + '08000200' + '6e626400')
})

test('connect: every attribute, the socket nested twice', t => {
  const u64 = (type: string, value: string): string => `0c00${type}00${value}`
  const attributes =
    '0800010003000000' +
    u64('02', '0000000001000000') +
    u64('03', '0002000000000000') +
    u64('04', '0000000000000000') +
    u64('05', '0d01000000000000') +
    u64('08', '3c00000000000000') +
    '10000780' +
    '0c000180' +
    '0800010015000000'
  const bytes = encodeConnect(0x1d, device)
  t.is(hex(bytes), '68000000' + '1d00' + '0500' + '0000000000000000' + '01010000' + attributes)
  t.is(bytes.readUInt32LE(0), bytes.length)
})

test('reconfigure and disconnect: the same device, a new socket, or none', t => {
  t.is(encodeReconfigure(0x1d, device).readUInt8(16), 3)
  t.true(hex(encodeReconfigure(0x1d, { ...device, fd: 22 })).endsWith('0800010016000000'))
  t.is(hex(encodeDisconnect(0x1d, 3)).slice(32), '02010000' + '0800010003000000')
})

test('answers: a family number, success, an error', t => {
  const family = Buffer.from('1c0000001000000000000000000000000102000006000100' + '1d000000', 'hex')
  const done = Buffer.from('24000000020000000000000000000000f0ffffff'.padEnd(72, '0'), 'hex')
  const answers = decodeAnswers(Buffer.concat([family, done]))
  t.is(answers.map(familyIdOf)[0], 0x1d)
  t.deepEqual(answers[1], { kind: 'done', errno: 16 })
})

test('arbitrary bytes never throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      decodeAnswers(Buffer.from(bytes)).map(familyIdOf)
      return true
    })
  )
  t.pass()
})
