import test from 'ava'
import fc from 'fast-check'
import { patterned } from '../conformance/block-device.ts'
import { memoryDevice, type MemoryDevice } from '../helpers/memory-device.ts'
import {
  clientFlagBytes,
  DISC,
  EINVAL,
  EIO,
  ENOSPC,
  EPERM,
  ESHUTDOWN,
  FLUSH,
  FUA,
  infoQueryBytes,
  optionBytes,
  READ,
  requestBytesOf,
  WRITE
} from './client-bytes.ts'
import { haggler, rawClient, transmitter } from './raw-client.ts'
import { split } from './split-bytes.ts'
import {
  blockReadsBelow,
  collectingLogger,
  exportOf,
  socketAddress,
  testServer,
  until
} from './test-server.ts'

const MiB = 1024 * 1024

test('reads, writes and flushes, with and without FUA', async t => {
  const device = memoryDevice(patterned(MiB))
  const client = await transmitter(t, (await testServer(t, { exports: exportOf(device) })).address)
  t.true(patterned(MiB).equals(await client.read(0, MiB)))
  const payload = Buffer.alloc(200_001, 0x5a)
  client.request({ command: WRITE, cookie: 2n, offset: 777, payload })
  t.deepEqual(await client.reply(), { error: 0, cookie: 2n })
  t.true(payload.equals(device.bytes.subarray(777, 777 + payload.length)))
  client.request({ command: FLUSH, cookie: 3n })
  t.deepEqual(await client.reply(), { error: 0, cookie: 3n })
  client.request({
    command: WRITE,
    flags: FUA,
    cookie: 4n,
    offset: 0,
    payload: payload.subarray(9)
  })
  t.deepEqual(await client.reply(), { error: 0, cookie: 4n })
  t.is(device.flushes, 2)
  t.is((await client.read(5, 0)).length, 0)
})

test('writes of every size arrive as they were sent, at a device that takes its time', async t => {
  const sizes = [1, 4096, 60_000, 65_508, 70_000, 300_001, 16_384, 16_385, 524_288, 4095]
  const payloads = Array.from({ length: 60 }, (_, index) => {
    const payload = Buffer.from(patterned(sizes[(index * 7) % sizes.length] ?? 1))
    payload[0] = index
    return payload
  })
  const device = memoryDevice(payloads.reduce((sum, { length }) => sum + length, 0))
  device.hooks = {
    before: async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
    }
  }
  // Few at a time: many have to wait, begun or not.
  const limits = { nbdConnectionRequestsMax: 3 }
  const options = { exports: exportOf(device), limits, address: await socketAddress(t) }
  const client = await transmitter(t, (await testServer(t, options)).address)
  let offset = 0
  for (const payload of payloads) {
    client.request({ command: WRITE, offset, payload })
    offset += payload.length
  }
  for (let count = 0; count < payloads.length; count++) t.is((await client.reply()).error, 0)
  t.true(Buffer.concat(payloads).equals(device.bytes))
})

test('every mistake gets its own error, and the connection goes on', async t => {
  const device = memoryDevice(MiB)
  const client = await transmitter(t, (await testServer(t, { exports: exportOf(device) })).address)
  const cases = [
    [{ command: READ, offset: MiB - 1, length: 2 }, EINVAL],
    [{ command: READ, offset: 2n ** 63n, length: 512 }, EINVAL],
    [{ command: READ, offset: 2n ** 64n - 1n, length: 512 }, EINVAL],
    [{ command: READ, offset: 0, length: 0xffff_ffff }, EINVAL],
    [{ command: WRITE, offset: MiB - 1, payload: Buffer.alloc(100_000) }, ENOSPC],
    [{ command: WRITE, offset: 2n ** 63n, payload: Buffer.alloc(512) }, ENOSPC],
    [{ command: 77, length: 4096 }, EINVAL],
    [{ command: READ, flags: 4, length: 512 }, EINVAL],
    [{ command: WRITE, flags: 0x100, payload: Buffer.alloc(512) }, EINVAL]
  ] as const
  for (const [index, [request, error]] of cases.entries()) {
    const cookie = BigInt(index)
    client.request({ ...request, cookie })
    t.deepEqual(await client.reply(), { error, cookie })
  }
  t.is((await client.read(0, 512)).length, 512)
})

test('a read-only export is not written to', async t => {
  const device = memoryDevice(4096)
  const server = await testServer(t, { exports: exportOf(device, true) })
  const client = await transmitter(t, server.address)
  client.request({ command: WRITE, cookie: 1n, payload: Buffer.alloc(4096, 1) })
  t.deepEqual(await client.reply(), { error: EPERM, cookie: 1n })
  t.true((await client.read(0, 4096)).equals(Buffer.alloc(4096)))
})

test('a failing device fails its request only, and is reported once', async t => {
  const device = memoryDevice(4096)
  const logger = collectingLogger()
  const server = await testServer(t, { exports: exportOf(device), logger })
  device.hooks = {
    before: async (_operation, offset) => {
      if (offset === 512) throw new Error('a bad sector')
    }
  }
  const client = await transmitter(t, server.address)
  for (const cookie of [1n, 2n]) {
    client.request({ command: READ, cookie, offset: 512, length: 512 })
    t.deepEqual(await client.reply(), { error: EIO, cookie })
  }
  t.is((await client.read(0, 512)).length, 512)
  t.is(logger.logged.filter(({ level }) => level === 'warn').length, 1)
})

test('a read that nobody can answer holds up no other request and no other client', async t => {
  const device = memoryDevice(patterned(MiB))
  const server = await testServer(t, { exports: exportOf(device) })
  const { release } = blockReadsBelow(device, 4096)
  const stuck = await transmitter(t, server.address)
  for (let cookie = 100n; cookie < 150n; cookie++) {
    stuck.request({ command: READ, cookie, offset: 0, length: 4096 })
  }
  t.true(
    patterned(MiB)
      .subarray(4096, 8192)
      .equals(await stuck.read(4096, 4096))
  )
  stuck.request({ command: WRITE, cookie: 8n, offset: 500_000, payload: Buffer.alloc(9) })
  t.deepEqual(await stuck.reply(), { error: 0, cookie: 8n })
  stuck.request({ command: FLUSH, cookie: 9n })
  t.deepEqual(await stuck.reply(), { error: 0, cookie: 9n })
  const other = await transmitter(t, server.address)
  t.is((await other.read(8192, 4096)).length, 4096)
  release()
  for (let cookie = 100n; cookie < 150n; cookie++) {
    t.deepEqual(await stuck.reply(), { error: 0, cookie })
    t.is((await stuck.receive(4096)).length, 4096)
  }
})

test('waiting reads end when their client vanishes', async t => {
  const device = memoryDevice(MiB)
  const server = await testServer(t, { exports: exportOf(device) })
  blockReadsBelow(device, MiB)
  for (const vanish of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const client = await transmitter(t, server.address)
    for (let at = 0; at < 20; at++) {
      client.request({ command: READ, cookie: 1n, offset: at * 4096, length: 4096 })
    }
    await until(() => device.readsUnderWay === 20)
    client.socket[vanish]()
    await until(() => device.readsUnderWay === 0 && server.connections() === 0)
  }
  t.pass()
})

test('DISC: what was asked before is done, then the server closes', async t => {
  const device = memoryDevice(MiB)
  const server = await testServer(t, { exports: exportOf(device) })
  const { release } = blockReadsBelow(device, 4096)
  const client = await transmitter(t, server.address)
  client.request({ command: READ, cookie: 1n, length: 512 })
  client.request({ command: DISC })
  client.request({ command: FLUSH })
  await until(() => device.readsUnderWay === 1)
  release()
  t.deepEqual(await client.reply(), { error: 0, cookie: 1n })
  await client.receive(512)
  await client.closed()
  t.is(device.flushes, 0)
})

/** Holds up whatever the device is asked for until it is opened, and counts it. */
function gateOf(device: MemoryDevice) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const gate = { arrived: 0, open: resolve }
  device.hooks = {
    before: () => {
      gate.arrived++
      return promise
    }
  }
  return gate
}

test('a write whose client vanishes still reaches the device', async t => {
  const device = memoryDevice(4096)
  const server = await testServer(t, { exports: exportOf(device) })
  const gate = gateOf(device)
  const client = await transmitter(t, server.address)
  client.request({ command: WRITE, payload: Buffer.alloc(512, 3) })
  await until(() => gate.arrived === 1)
  client.socket.destroy()
  await until(() => server.connections() === 0)
  gate.open()
  await until(() => device.bytes[511] === 3)
  t.pass()
})

test('what a write brought lasts until the device has taken it, whatever comes behind it', async t => {
  const device = memoryDevice(8192)
  const server = await testServer(t, { exports: exportOf(device) })
  const gate = gateOf(device)
  const client = await transmitter(t, server.address)
  for (const at of [0, 1]) {
    client.request({ command: WRITE, offset: at * 4096, payload: Buffer.alloc(4096, 3 + at) })
    await until(() => gate.arrived === at + 1)
  }
  gate.open()
  for (let count = 0; count < 2; count++) t.is((await client.reply()).error, 0)
  t.true(Buffer.concat([Buffer.alloc(4096, 3), Buffer.alloc(4096, 4)]).equals(device.bytes))
})

test('those who break the rules are dropped, and nobody else notices', async t => {
  const logger = collectingLogger()
  const server = await testServer(t, { logger })
  const good = await transmitter(t, server.address)
  const bad: ((client: Awaited<ReturnType<typeof rawClient>>) => void)[] = [
    client => client.send(Buffer.from('GET / HTTP/1.1\r\nHost: example\r\n\r\n')),
    client => client.send(clientFlagBytes(3), optionBytes(3).fill(0xff, 12, 16)),
    client => client.send(clientFlagBytes(3), ...Array.from({ length: 70 }, () => optionBytes(3))),
    client => client.send(clientFlagBytes(3), optionBytes(1, Buffer.from('nope'))),
    client =>
      client.send(
        clientFlagBytes(3),
        optionBytes(7, infoQueryBytes('')),
        requestBytesOf({ command: WRITE, length: 0xffff_ffff })
      ),
    client => client.send(clientFlagBytes(3), optionBytes(7, infoQueryBytes('')), Buffer.alloc(28))
  ]
  for (const misbehave of bad) {
    const client = await rawClient(t, server.address)
    misbehave(client)
    await client.closed()
    t.is((await good.read(0, 512)).length, 512)
  }
  await until(() => server.connections() === 1)
  const dropped = logger.logged.filter(({ fields }) => fields?.code === 'ERR_NBD_PROTOCOL')
  t.is(dropped.length, bad.length)
})

test('ABORT is acknowledged before the server closes', async t => {
  const client = await haggler(t, (await testServer(t)).address)
  client.send(optionBytes(2))
  t.is((await client.optionReply()).reply, 1)
  await client.closed()
})

test('any bytes, split anywhere, before or after the handshake: the server goes on', async t => {
  const server = await testServer(t)
  const good = await transmitter(t, server.address)
  const opening = Buffer.concat([clientFlagBytes(3), optionBytes(7, infoQueryBytes('disk'))])
  const begun = fc.constantFrom(Buffer.alloc(0), clientFlagBytes(3), opening)
  const some = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .array(fc.tuple(fc.nat({ max: 8 }), fc.nat({ max: 3 }), fc.nat(), fc.nat({ max: 9000 })))
      .map(requests =>
        Buffer.concat(
          requests.map(([command, flags, offset, length]) =>
            requestBytesOf({ command, flags, offset, length })
          )
        )
      )
  )
  await fc.assert(
    fc.asyncProperty(
      begun,
      some,
      fc.array(fc.nat(), { maxLength: 4 }),
      async (first, rest, cuts) => {
        const client = await rawClient(t, server.address)
        for (const piece of split(Buffer.concat([first, rest]), cuts)) {
          client.socket.write(piece)
          await new Promise(resolve => setImmediate(resolve))
        }
        client.socket.end()
        await client.closed()
        await good.read(0, 512)
      }
    ),
    { numRuns: 100 }
  )
  await until(() => server.connections() === 1)
  t.pass()
})

test('requests that come while the server closes get ESHUTDOWN, those under way their answer', async t => {
  const device = memoryDevice(MiB)
  const server = await testServer(t, { exports: exportOf(device), limits: { nbdCloseMs: 60_000 } })
  const { release } = blockReadsBelow(device, 4096)
  const client = await transmitter(t, server.address)
  client.request({ command: READ, cookie: 1n, length: 512 })
  await until(() => device.readsUnderWay === 1)
  const closing = server.close()
  client.request({ command: READ, cookie: 2n, offset: 8192, length: 512 })
  t.deepEqual(await client.reply(), { error: ESHUTDOWN, cookie: 2n })
  release()
  t.deepEqual(await client.reply(), { error: 0, cookie: 1n })
  await client.receive(512)
  await client.closed()
  await closing
})

test('a read that stays unanswered gets ESHUTDOWN when the server has waited long enough', async t => {
  const device = memoryDevice(MiB)
  const server = await testServer(t, { exports: exportOf(device), limits: { nbdCloseMs: 50 } })
  blockReadsBelow(device, MiB)
  const client = await transmitter(t, server.address)
  client.request({ command: READ, cookie: 1n, length: 512 })
  await until(() => device.readsUnderWay === 1)
  const closing = server.close()
  t.deepEqual(await client.reply(), { error: ESHUTDOWN, cookie: 1n })
  await closing
  t.is(device.readsUnderWay, 0)
})

test('a server that comes back answers what it can and leaves the rest to be asked again', async t => {
  const device = memoryDevice(MiB)
  const server = await testServer(t, {
    exports: exportOf(device),
    comesBack: true,
    limits: { nbdCloseMs: 300 }
  })
  blockReadsBelow(device, 4096)
  const client = await transmitter(t, server.address)
  client.request({ command: READ, cookie: 1n, length: 512 })
  await until(() => device.readsUnderWay === 1)
  const closing = server.close()
  client.request({ command: READ, cookie: 2n, offset: 8192, length: 512 })
  await client.closed()
  await t.throwsAsync(client.receive(1), { message: /closed/ })
  await closing
  t.is(device.readsUnderWay, 0)
})

test('a client that is choosing while the server closes is told so', async t => {
  const server = await testServer(t, { limits: { nbdCloseMs: 60_000 } })
  const client = await haggler(t, server.address)
  client.send(optionBytes(3))
  t.is((await client.optionReply()).reply, 2)
  t.is((await client.optionReply()).reply, 1)
  const closing = server.close()
  client.send(optionBytes(7, infoQueryBytes('')))
  t.is((await client.optionReply()).reply, 0x80000007)
  client.send(optionBytes(2))
  t.is((await client.optionReply()).reply, 1)
  await client.closed()
  await closing
})
