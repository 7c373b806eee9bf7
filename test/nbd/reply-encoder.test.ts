import test from 'ava'
import { BootswarmError } from '../../src/base/index.ts'
import { encodeReply } from '../../src/nbd/reply-encoder.ts'
import type { Reply } from '../../src/nbd/request-handler.ts'
import type { HeaderStyle } from '../../src/nbd/wire.ts'
import { BLOCK_STATUS, READ, WRITE } from './client-bytes.ts'

const request = {
  flags: 0,
  command: READ,
  cookie: 7n,
  sentOffset: 4096n,
  offset: 4096,
  length: 6,
  payloadLength: 0
}

function hex(style: HeaderStyle, reply: Reply, command = READ): string {
  return Buffer.concat(encodeReply(style, { ...request, command }, reply)).toString('hex')
}

const content: Reply['content'] = [
  { kind: 'data', offset: 4096, bytes: Buffer.from('ab') },
  { kind: 'hole', offset: 4098, length: 4 }
]
const cookie = '0000000000000007'
const at4096 = '0000000000001000'

test('simple: a header, and the bytes, zeros among them', t => {
  t.is(hex('simple', { error: 0, content }), `6744669800000000${cookie}${'6162'}00000000`)
  t.is(hex('simple', { error: 5, content }), `6744669800000005${cookie}`)
})

test('structured: a chunk for the data, one for the hole, the last one marked', t => {
  const data = `668e33ef00000001${cookie}0000000a${at4096}6162`
  const hole = `668e33ef00010002${cookie}0000000c000000000000100200000004`
  t.is(hex('structured', { error: 0, content }), data + hole)
})

test('extended: the same with the offset of the request and lengths of 64 bits', t => {
  const data = `6e8a278c00000001${cookie}${at4096}000000000000000a${at4096}6162`
  const hole = `6e8a278c00010002${cookie}${at4096}000000000000000c000000000000100200000004`
  t.is(hex('extended', { error: 0, content }), data + hole)
})

test('nothing to give back: a simple reply where one may be, else an empty chunk', t => {
  t.is(hex('structured', { error: 0 }, WRITE), `6744669800000000${cookie}`)
  t.is(hex('structured', { error: 0 }, READ), `668e33ef00010000${cookie}00000000`)
  t.is(hex('extended', { error: 0 }, WRITE), `6e8a278c00010000${cookie}${at4096}0000000000000000`)
})

test('errors: in words for people where there is room for them', t => {
  const words = Buffer.from('the disk is gone').toString('hex')
  const cause = new BootswarmError('ERR_DISK_IO', 'the disk is gone')
  t.is(
    hex('structured', { error: 5, cause }),
    `668e33ef00018001${cookie}00000016000000050010${words}`
  )
  const name = Buffer.from('EIO').toString('hex')
  const own = hex('extended', { error: 5, cause: new Error('of no concern to clients') }, WRITE)
  t.is(own, `6e8a278c00018001${cookie}${at4096}0000000000000009000000050003${name}`)
})

test('block status: a chunk a context, of 32 or 64 bits', t => {
  const statuses = [
    { context: 0, extents: [{ length: 4096, flags: 3 }] },
    { context: 1, extents: [{ length: 512, flags: 2 }] }
  ]
  t.is(
    hex('structured', { error: 0, statuses }, BLOCK_STATUS),
    `668e33ef00000005${cookie}0000000c000000000000100000000003` +
      `668e33ef00010005${cookie}0000000c000000010000020000000002`
  )
  const wide = [{ context: 1, extents: [{ length: 2 ** 33, flags: 3 }] }]
  t.is(
    hex('extended', { error: 0, statuses: wide }, BLOCK_STATUS),
    `6e8a278c00010006${cookie}${at4096}0000000000000018` +
      `000000010000000100000002000000000000000000000003`
  )
})
