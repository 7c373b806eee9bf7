import test from 'ava'
import { bytesHeldFor, payloadBytes, requestError } from '../../src/nbd/request-rules.ts'
import { DISC, EINVAL, ENOSPC, EPERM, FLUSH, FUA, READ, WRITE } from './client-bytes.ts'

const size = 1_000_000
const MiB = 1024 * 1024

function errorOf(
  command: number,
  offset: number,
  length: number,
  { flags = 0, readOnly = false, of = size } = {}
): number {
  const request = { command, flags, offset, length, cookie: 1n }
  return requestError(request, { size: of, readOnly }, 32 * MiB)
}

test('reads and writes that lie inside are fine, to the last byte, of no length too', t => {
  for (const command of [READ, WRITE]) {
    t.is(errorOf(command, 0, size), 0)
    t.is(errorOf(command, size - 1, 1), 0)
    t.is(errorOf(command, 3, 5), 0)
    t.is(errorOf(command, size, 0), 0)
  }
})

test('a read past the end is EINVAL, a write ENOSPC', t => {
  for (const [offset, length] of [
    [size, 1],
    [size - 1, 2],
    [size + 1, 0],
    [2 ** 63, 512],
    [2 ** 64, 512]
  ] as const) {
    t.is(errorOf(READ, offset, length), EINVAL)
    t.is(errorOf(WRITE, offset, length), ENOSPC)
  }
})

test('a read of more than a payload may have is EINVAL', t => {
  t.is(errorOf(READ, 0, 32 * MiB, { of: 2 ** 40 }), 0)
  t.is(errorOf(READ, 0, 32 * MiB + 1, { of: 2 ** 40 }), EINVAL)
  t.is(errorOf(READ, 0, 2 ** 32 - 1, { of: 2 ** 40 }), EINVAL)
})

test('a write to what is read-only is EPERM, wherever', t => {
  t.is(errorOf(WRITE, 0, 512, { readOnly: true }), EPERM)
  t.is(errorOf(WRITE, size, 512, { readOnly: true }), EPERM)
  t.is(errorOf(READ, 0, 512, { readOnly: true }), 0)
  t.is(errorOf(FLUSH, 0, 0, { readOnly: true }), 0)
})

test('FUA is taken on everything, any other flag on nothing', t => {
  for (const command of [READ, WRITE, FLUSH]) {
    t.is(errorOf(command, 0, 0, { flags: FUA }), 0)
    for (const flags of [2, 4, 8, 16, 0x8000, 3]) {
      t.is(errorOf(command, 0, 0, { flags }), EINVAL)
    }
  }
})

test('a flush has no range', t => {
  t.is(errorOf(FLUSH, 0, 0), 0)
  t.is(errorOf(FLUSH, 512, 0), EINVAL)
  t.is(errorOf(FLUSH, 0, 512), EINVAL)
})

test('commands that are not served are EINVAL', t => {
  for (const command of [4, 5, 6, 7, 8, 0xffff]) t.is(errorOf(command, 0, 512), EINVAL)
})

test('only writes are followed by bytes; reads and writes hold bytes', t => {
  const request = { flags: 0, cookie: 1n, offset: 0, length: 512 }
  t.deepEqual(
    [READ, WRITE, DISC, FLUSH, 4, 77].map(command => payloadBytes({ ...request, command })),
    [0, 512, 0, 0, 0, 0]
  )
  t.deepEqual(
    [READ, WRITE, FLUSH, 77].map(command => bytesHeldFor({ ...request, command })),
    [512, 512, 0, 0]
  )
})
