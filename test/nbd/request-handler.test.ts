import test from 'ava'
import { BootswarmError } from '../../src/base/index.ts'
import { handleRequest } from '../../src/nbd/request-handler.ts'
import { patterned } from '../conformance/block-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { EIO, ENOSPC, FLUSH, FUA, READ, WRITE } from './client-bytes.ts'

const { signal } = new AbortController()
const none = new Uint8Array()
const request = { flags: 0, cookie: 1n, offset: 0, length: 0 }

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
  const reply = await handleRequest(read, none, watched, signal)
  t.is(reply.error, 0)
  t.is(reply.payload, returned[0])
  t.true(device.bytes.subarray(100, 1100).equals(reply.payload ?? none))
})

test('WRITE writes; with FUA it flushes before it answers', async t => {
  const device = memoryDevice(8192)
  const data = Buffer.alloc(100, 9)
  const write = { ...request, command: WRITE, offset: 50, length: 100 }
  t.is((await handleRequest(write, data, device, signal)).error, 0)
  t.true(data.equals(device.bytes.subarray(50, 150)))
  t.is(device.flushes, 0)
  const order: string[] = []
  device.hooks = { before: async operation => void order.push(operation) }
  t.is((await handleRequest({ ...write, flags: FUA }, data, device, signal)).error, 0)
  t.deepEqual(order, ['write', 'flush'])
})

test('FLUSH flushes', async t => {
  const device = memoryDevice(512)
  t.is((await handleRequest({ ...request, command: FLUSH }, none, device, signal)).error, 0)
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
    const reply = await handleRequest({ ...request, command, flags: FUA }, none, device, signal)
    t.is(reply.error, 0)
    t.is(reply.payload, undefined)
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
      const reply = await handleRequest(failing, Buffer.alloc(length), device, signal)
      t.deepEqual(reply, { error: error as typeof reply.error, cause: thrown })
    }
  }
})

test('a device that returns too little gets no chance to shift the stream', async t => {
  const device = { ...memoryDevice(512), read: async () => Buffer.alloc(511) }
  const reply = await handleRequest(
    { ...request, command: READ, length: 512 },
    none,
    device,
    signal
  )
  t.is(reply.error, EIO)
  t.is(reply.payload, undefined)
})

test('a device that throws at once is one that rejects', async t => {
  const device = {
    ...memoryDevice(512),
    read(): Promise<Uint8Array> {
      throw new Error('not even a promise')
    }
  }
  t.is(
    (await handleRequest({ ...request, command: READ, length: 1 }, none, device, signal)).error,
    EIO
  )
})

test('the signal reaches the device', async t => {
  const device = memoryDevice(512)
  device.hooks = { before: () => new Promise(() => {}) }
  const gone = new AbortController()
  const reply = handleRequest({ ...request, command: READ, length: 1 }, none, device, gone.signal)
  t.is(device.readsUnderWay, 1)
  gone.abort()
  t.is((await reply).error, EIO)
})
