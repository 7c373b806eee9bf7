import test from 'ava'
import { BootswarmError, type BlockDevice } from '../../src/base/index.ts'
import { BufferPool } from '../../src/nbd/buffer-pool.ts'
import { contextsOf } from '../../src/nbd/contexts.ts'
import type { Terms } from '../../src/nbd/exports.ts'
import { nbdLimits } from '../../src/nbd/nbd-limits.ts'
import { handleRequest, type Reply } from '../../src/nbd/request-handler.ts'
import type { Request } from '../../src/nbd/wire.ts'
import { patterned } from '../conformance/block-device.ts'
import { data, hole, mappedDevice, remote, written } from '../helpers/mapped-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  EINVAL,
  EIO,
  ENOSPC,
  ENOTSUP,
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

const none = Buffer.alloc(0)
const request = { flags: 0, cookie: 1n, sentOffset: 0n, offset: 0, length: 0, payloadLength: 0 }
const limits = nbdLimits({ nbdZeroPieceBytes: 1000 })

function handle(
  asked: Request,
  payload: Buffer,
  device: BlockDevice,
  signal = new AbortController().signal,
  terms: Terms = { style: 'structured', contexts: contextsOf(device) }
): Promise<Reply> {
  return handleRequest(asked, payload, { device, terms, limits, pool: new BufferPool(0) }, signal)
}

function payloadOf({ content = [] }: Reply): Uint8Array | undefined {
  const [piece] = content
  return piece?.kind === 'data' ? piece.bytes : undefined
}

test('READ gives the bytes as the device returned them', async t => {
  const device = memoryDevice(patterned(8192))
  const returned: Uint8Array[] = []
  const watched = {
    ...device,
    async read(offset: number, length: number) {
      const bytes = await device.read(offset, length)
      returned.push(bytes)
      return bytes
    }
  }
  const read = { ...request, command: READ, offset: 100, length: 1000 }
  const reply = await handle(read, none, watched)
  t.is(reply.error, 0)
  t.is(payloadOf(reply), returned[0])
  t.true(device.bytes.subarray(100, 1100).equals(payloadOf(reply) ?? none))
})

test('WRITE writes; with FUA it flushes before it answers', async t => {
  const device = memoryDevice(8192)
  const data = Buffer.alloc(100, 9)
  const write = { ...request, command: WRITE, offset: 50, length: 100 }
  t.is((await handle(write, data, device)).error, 0)
  t.true(data.equals(device.bytes.subarray(50, 150)))
  t.is(device.flushes, 0)
  const order: string[] = []
  device.hooks = { before: async operation => void order.push(operation) }
  t.is((await handle({ ...write, flags: FUA }, data, device)).error, 0)
  t.deepEqual(order, ['write', 'flush'])
})

test('FLUSH flushes', async t => {
  const device = memoryDevice(512)
  t.is((await handle({ ...request, command: FLUSH }, none, device)).error, 0)
  t.is(device.flushes, 1)
})

test('requests of no length do not reach the device, but FUA does', async t => {
  const device = memoryDevice(512)
  device.hooks = {
    before: async operation => {
      if (operation !== 'flush') throw new Error('reached')
    }
  }
  for (const command of [READ, WRITE]) {
    const reply = await handle({ ...request, command, flags: FUA }, none, device)
    t.is(reply.error, 0)
    t.is(payloadOf(reply), undefined)
  }
  t.is(device.flushes, 1)
})

test('what the device throws becomes EIO, a full disk ENOSPC', async t => {
  const device = memoryDevice(512)
  const cases: [unknown, number][] = [
    [new BootswarmError('ERR_DISK_IO', 'sector gone'), EIO],
    [new BootswarmError('ERR_DISK_FULL', 'full'), ENOSPC],
    [Object.assign(new Error('quota'), { code: 'EDQUOT' }), ENOSPC],
    [new Error('whatever'), EIO],
    [undefined, EIO]
  ]
  for (const [thrown, error] of cases) {
    device.hooks = {
      before: async () => {
        throw thrown
      }
    }
    for (const command of [READ, WRITE, FLUSH]) {
      const length = command === FLUSH ? 0 : 10
      const failing = { ...request, command, length }
      const reply = await handle(failing, Buffer.alloc(length), device)
      t.deepEqual(reply, { error: error as typeof reply.error, cause: thrown })
    }
  }
})

test('a device that returns too little gets no chance to shift the stream', async t => {
  const device = { ...memoryDevice(512), read: async () => Buffer.alloc(511) }
  const reply = await handle({ ...request, command: READ, length: 512 }, none, device)
  t.is(reply.error, EIO)
  t.is(payloadOf(reply), undefined)
})

test('a device that throws at once is one that rejects', async t => {
  const device = {
    ...memoryDevice(512),
    read(): Promise<Uint8Array> {
      throw new Error('not even a promise')
    }
  }
  t.is((await handle({ ...request, command: READ, length: 1 }, none, device)).error, EIO)
})

test('the signal reaches the device', async t => {
  const device = memoryDevice(512)
  device.hooks = { before: () => new Promise(() => {}) }
  const gone = new AbortController()
  const reply = handle({ ...request, command: READ, length: 1 }, none, device, gone.signal)
  t.is(device.readsUnderWay, 1)
  gone.abort()
  t.is((await reply).error, EIO)
})

test('READ leaves out what is known to be zeros, and reads the rest', async t => {
  const bytes = patterned(8192).fill(0, 1000, 3000)
  const device = mappedDevice(bytes, [data(1000), hole(1500), hole(500), remote(5192)])
  const read = { ...request, command: READ, offset: 500, length: 4000 }
  const { content = [] } = await handle(read, none, device)
  t.deepEqual(content, [
    { kind: 'data', offset: 500, bytes: bytes.subarray(500, 1000) },
    { kind: 'hole', offset: 1000, length: 2000 },
    { kind: 'data', offset: 3000, bytes: bytes.subarray(3000, 4500) }
  ])
  t.deepEqual(device.calls, ['read 500 500', 'read 3000 1500'])
})

test('READ in one piece for those who want no fragments or cannot have them', async t => {
  const device = mappedDevice(patterned(8192).fill(0, 0, 4096), [hole(4096), data(4096)])
  const read = { ...request, command: READ, length: 8192 }
  for (const [flags, style] of [
    [DF, 'structured'],
    [0, 'simple']
  ] as const) {
    const terms = { style, contexts: [] }
    const reply = await handle({ ...read, flags }, none, device, undefined, terms)
    t.is(reply.content?.length, 1)
    t.true(device.memory.bytes.equals(payloadOf(reply) ?? none))
  }
})

test('READ of what a device knows only the beginning of', async t => {
  const device = mappedDevice(patterned(100), [hole(10)])
  const { content = [] } = await handle({ ...request, command: READ, length: 100 }, none, device)
  t.deepEqual(
    content.map(({ kind, offset }) => [kind, offset]),
    [
      ['hole', 0],
      ['data', 10]
    ]
  )
})

test('WRITE_ZEROES by the device where it can, else in pieces', async t => {
  const zeroes = { ...request, command: WRITE_ZEROES, offset: 10, length: 5000 }
  const able = mappedDevice(patterned(8192), [])
  t.is((await handle(zeroes, none, able)).error, 0)
  t.deepEqual(able.calls, ['zero 10 5000'])
  const writes: number[] = []
  const plain = memoryDevice(patterned(8192))
  plain.hooks = { before: async (_operation, _offset, length) => void writes.push(length) }
  t.is((await handle({ ...zeroes, flags: FUA }, none, plain)).error, 0)
  t.deepEqual(writes, [1000, 1000, 1000, 1000, 1000, 0])
  for (const { bytes } of [able.memory, plain]) {
    t.true(patterned(8192).fill(0, 10, 5010).equals(bytes))
  }
})

test('WRITE_ZEROES: room is kept if asked for, and slow is refused if asked for', async t => {
  const zeroes = { ...request, command: WRITE_ZEROES, length: 100 }
  const able = mappedDevice(patterned(512), [])
  t.is((await handle({ ...zeroes, flags: NO_HOLE }, none, able)).error, 0)
  t.deepEqual(able.calls, [])
  t.is((await handle({ ...zeroes, flags: FAST_ZERO }, none, able)).error, 0)
  t.is((await handle({ ...zeroes, flags: FAST_ZERO | NO_HOLE }, none, able)).error, ENOTSUP)
  const plain = memoryDevice(patterned(512))
  t.is((await handle({ ...zeroes, flags: FAST_ZERO }, none, plain)).error, ENOTSUP)
  t.true(patterned(512).equals(plain.bytes))
})

test('TRIM and CACHE reach a device that has them, and are fine with one that has not', async t => {
  const able = mappedDevice(512, [])
  for (const command of [TRIM, CACHE]) {
    const asked = { ...request, command, offset: 1, length: 2 }
    t.is((await handle(asked, none, able)).error, 0)
    t.is((await handle(asked, none, memoryDevice(512))).error, 0)
  }
  t.deepEqual(able.calls, ['trim 1 2', 'prefetch 1 2'])
})

test('BLOCK_STATUS: both contexts, one run if asked, and a device that knows nothing', async t => {
  const device = mappedDevice(8192, [data(1000), hole(1000), written(6192)])
  const status = { ...request, command: BLOCK_STATUS, offset: 500, length: 5000 }
  t.deepEqual((await handle(status, none, device)).statuses, [
    {
      context: 0,
      extents: [
        { length: 500, flags: 0 },
        { length: 1000, flags: 3 },
        { length: 3500, flags: 0 }
      ]
    },
    {
      context: 1,
      extents: [
        { length: 1500, flags: 0 },
        { length: 3500, flags: 2 }
      ]
    }
  ])
  const one = await handle({ ...status, flags: REQ_ONE }, none, device)
  t.deepEqual(
    one.statuses?.map(({ extents }) => extents.map(({ length }) => length)),
    [[500], [1500]]
  )
  const plain = await handle({ ...status, length: 8 }, none, memoryDevice(8192))
  t.deepEqual(plain.statuses, [{ context: 0, extents: [{ length: 8, flags: 0 }] }])
})

test('BLOCK_STATUS with a payload: only the contexts in it, each selected, each once', async t => {
  const device = mappedDevice(8192, [written(8192)])
  const terms: Terms = { style: 'extended', contexts: contextsOf(device) }
  const ask = (length: number, ...contexts: number[]): Promise<Reply> => {
    const payload = Buffer.alloc(8 + 4 * contexts.length)
    payload.writeBigUInt64BE(BigInt(length))
    contexts.forEach((context, index) => payload.writeUInt32BE(context, 8 + 4 * index))
    const payloadLength = payload.length
    const asked = { ...request, command: BLOCK_STATUS, flags: PAYLOAD_LEN, payloadLength }
    return handle({ ...asked, length: payloadLength }, payload, device, undefined, terms)
  }
  t.deepEqual((await ask(4096, 1)).statuses, [
    { context: 1, extents: [{ length: 4096, flags: 2 }] }
  ])
  t.is((await ask(4096, 0, 1)).statuses?.length, 2)
  for (const bad of [ask(4096, 1, 1), ask(4096, 7), ask(4096), ask(0, 1), ask(8193, 1)]) {
    t.is((await bad).error, EINVAL)
  }
})
