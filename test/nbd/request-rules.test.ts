import test from 'ava'
import { contextsOf } from '../../src/nbd/contexts.ts'
import { bytesHeldFor, requestError } from '../../src/nbd/request-rules.ts'
import type { HeaderStyle } from '../../src/nbd/wire.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  DISC,
  EINVAL,
  ENOSPC,
  EOVERFLOW,
  EPERM,
  FAST_ZERO,
  FLUSH,
  FUA,
  NO_HOLE,
  PAYLOAD_LEN,
  READ,
  REQ_ONE,
  TRIM,
  WRITE,
  WRITE_ZEROES
} from './client-bytes.ts'

const size = 1_000_000
const MiB = 1024 * 1024

function errorOf(
  command: number,
  offset: number,
  length: number,
  { flags = 0, readOnly = false, of = size, style = 'structured', asking = true, payload = -1 } = {}
): number {
  const written = command === WRITE ? length : 0
  const payloadLength = payload >= 0 ? payload : written
  const request = { command, flags, offset, length, payloadLength, cookie: 1n, sentOffset: 0n }
  const contexts = asking ? contextsOf(memoryDevice(512)) : []
  const bounds = { size: of, readOnly, style: style as HeaderStyle, contexts }
  return requestError(request, bounds, 32 * MiB)
}

test('reads and writes that lie inside are fine, to the last byte, of no length too', t => {
  for (const command of [READ, WRITE]) {
    t.is(errorOf(command, 0, size), 0)
    t.is(errorOf(command, size - 1, 1), 0)
    t.is(errorOf(command, 3, 5), 0)
    t.is(errorOf(command, size, 0), 0)
  }
})

test('past the end: ENOSPC for what writes, EINVAL for the rest', t => {
  for (const [offset, length] of [
    [size, 1],
    [size - 1, 2],
    [size + 1, 1],
    [2 ** 63, 512],
    [2 ** 64, 512]
  ] as const) {
    for (const command of [READ, TRIM, CACHE, BLOCK_STATUS]) {
      t.is(errorOf(command, offset, length), EINVAL)
    }
    for (const command of [WRITE, WRITE_ZEROES]) t.is(errorOf(command, offset, length), ENOSPC)
  }
})

test('more than a payload may have: reads and caching are refused, what has none is not', t => {
  const large = { of: 2 ** 40 }
  for (const length of [32 * MiB + 1, 2 ** 32 - 1]) {
    t.is(errorOf(READ, 0, length, { ...large, style: 'simple' }), EINVAL)
    t.is(errorOf(READ, 0, length, large), EOVERFLOW)
    t.is(errorOf(CACHE, 0, length, large), EOVERFLOW)
    for (const command of [TRIM, WRITE_ZEROES, BLOCK_STATUS]) {
      t.is(errorOf(command, 0, length, large), 0)
    }
  }
  t.is(errorOf(READ, 0, 32 * MiB, large), 0)
})

test('what writes to what is read-only is EPERM, wherever', t => {
  for (const command of [WRITE, WRITE_ZEROES, TRIM]) {
    t.is(errorOf(command, 0, 512, { readOnly: true }), EPERM)
    t.is(errorOf(command, size, 512, { readOnly: true }), EPERM)
  }
  for (const command of [READ, CACHE, BLOCK_STATUS]) {
    t.is(errorOf(command, 0, 512, { readOnly: true }), 0)
  }
  t.is(errorOf(FLUSH, 0, 0, { readOnly: true }), 0)
})

test('FUA is taken on everything, any other flag only where it belongs', t => {
  const own: Record<number, number> = {
    [READ]: DF,
    [WRITE]: 0,
    [FLUSH]: 0,
    [TRIM]: 0,
    [CACHE]: 0,
    [WRITE_ZEROES]: NO_HOLE | FAST_ZERO,
    [BLOCK_STATUS]: REQ_ONE
  }
  for (const [key, allowed] of Object.entries(own)) {
    const command = Number(key)
    const length = command === FLUSH ? 0 : 512
    t.is(errorOf(command, 0, length, { flags: FUA | allowed }), 0)
    for (const flags of [2, 4, 8, 16, 32, 64, 0x8000]) {
      const error = (flags & allowed) === 0 ? EINVAL : 0
      t.is(errorOf(command, 0, length, { flags }), error, `${command} with ${flags}`)
    }
  }
  t.is(errorOf(READ, 0, 512, { flags: DF, style: 'simple' }), EINVAL)
})

test('BLOCK_STATUS needs a context and a range', t => {
  t.is(errorOf(BLOCK_STATUS, 0, 512, { asking: false }), EINVAL)
  t.is(errorOf(BLOCK_STATUS, 0, 0), EINVAL)
})

test('extended: a write says that its bytes follow; a status query may bring contexts', t => {
  const extended = { style: 'extended', flags: PAYLOAD_LEN }
  t.is(errorOf(WRITE, 0, 512, extended), 0)
  t.is(errorOf(WRITE, 0, 512, { style: 'extended', payload: 0 }), EINVAL)
  t.is(errorOf(BLOCK_STATUS, size + 5, 12, { ...extended, payload: 12 }), 0, 'checked later')
  t.is(errorOf(BLOCK_STATUS, 0, 4000, { ...extended, payload: 4000 }), EINVAL)
  t.is(errorOf(READ, 0, 12, { ...extended, payload: 12 }), EINVAL)
})

test('a flush has no range', t => {
  t.is(errorOf(FLUSH, 0, 0), 0)
  t.is(errorOf(FLUSH, 512, 0), EINVAL)
  t.is(errorOf(FLUSH, 0, 512), EINVAL)
})

test('commands that nobody knows are EINVAL', t => {
  for (const command of [DISC, 8, 9, 0xffff]) t.is(errorOf(command, 0, 512), EINVAL)
})

test('a read holds what it will bring, the others what came behind them', t => {
  const request = { flags: 0, cookie: 1n, sentOffset: 0n, offset: 0, length: 512 }
  const held = (command: number, payloadLength: number): number =>
    bytesHeldFor({ ...request, command, payloadLength })
  t.deepEqual([held(READ, 0), held(WRITE, 512), held(WRITE_ZEROES, 0)], [512, 512, 0])
})
