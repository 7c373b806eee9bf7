import test from 'ava'
import { memoryDevice } from '../helpers/memory-device.ts'
import { EINVAL, optionBytes, READ, requestBytesOf, WRITE } from './client-bytes.ts'
import { haggler, rawClient, transmitter } from './raw-client.ts'
import { blockReadsBelow, exportOf, socketAddress, testServer, until } from './test-server.ts'

// What one client can make the server hold, and for how long.

const MiB = 1024 * 1024

test('waiting reads end even behind requests that had to wait themselves', async t => {
  const device = memoryDevice(MiB)
  const limits = { nbdConnectionRequestsMax: 4 }
  const server = await testServer(t, { exports: exportOf(device), limits })
  blockReadsBelow(device, MiB)
  const client = await transmitter(t, server.address)
  for (let at = 0; at < 200; at++) client.request({ command: READ, length: 4096 })
  await until(() => device.readsUnderWay === 4)
  for (let at = 0; at < 200; at++) client.request({ command: READ, length: 4096 })
  client.socket.end()
  await until(() => device.readsUnderWay === 0 && server.connections() === 0)
  t.pass()
})

test('a client has no more requests and bytes under way than it may, and all are answered', async t => {
  const device = memoryDevice(MiB)
  const limits = { nbdConnectionBytesMax: 64 * 1024, nbdConnectionRequestsMax: 10 }
  const server = await testServer(t, { exports: exportOf(device), limits })
  let most = 0
  device.hooks = {
    before: async () => {
      most = Math.max(most, device.readsUnderWay)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const client = await transmitter(t, server.address)
  for (let cookie = 0n; cookie < 100n; cookie++) {
    client.request({ command: READ, cookie, length: 16 * 1024 })
  }
  for (let count = 0; count < 100; count++) {
    t.is((await client.reply()).error, 0)
    await client.receive(16 * 1024)
  }
  t.is(most, 4, 'by bytes')
  for (let cookie = 0n; cookie < 100n; cookie++)
    client.request({ command: READ, cookie, length: 1 })
  for (let count = 0; count < 100; count++) {
    t.is((await client.reply()).error, 0)
    await client.receive(1)
  }
  t.is(most, 10, 'by number')
})

test('a request larger than what is left of the connection waits, then is served', async t => {
  const device = memoryDevice(MiB)
  const limits = { nbdRequestBytesMax: MiB, nbdConnectionBytesMax: MiB }
  const server = await testServer(t, { exports: exportOf(device), limits })
  const client = await transmitter(t, server.address)
  for (let cookie = 0n; cookie < 8n; cookie++) {
    client.request({ command: READ, cookie, length: MiB })
    client.request({ command: WRITE, cookie, payload: Buffer.alloc(MiB, 1) })
  }
  let answered = 0
  let read = 0
  while (answered < 16) {
    const bytes = await client.receive(16)
    t.is(bytes.readUInt32BE(0), 0x67446698)
    answered++
    // Requests that are larger than half the connection go one by one, hence in order.
    if (answered % 2 === 1) read += (await client.receive(MiB)).length
  }
  t.is(read, 8 * MiB)
})

test('a client that does not take its replies gets no more of them made', async t => {
  const device = memoryDevice(MiB)
  let reads = 0
  device.hooks = { before: async () => void reads++ }
  const limits = { nbdConnectionBytesMax: 4 * MiB }
  const server = await testServer(t, { exports: exportOf(device), limits })
  const client = await transmitter(t, server.address)
  client.socket.pause()
  for (let cookie = 0n; cookie < 300n; cookie++) {
    client.request({ command: READ, cookie, length: MiB })
  }
  // A second client is served meanwhile, and by then the first has had all the turns it could get.
  const other = await transmitter(t, server.address)
  for (let count = 0; count < 50; count++) await other.read(0, 512)
  t.true(reads - 50 < 60, `${reads} reads of 1 MiB made for a client that takes none`)
  client.socket.resume()
  for (let cookie = 0n; cookie < 300n; cookie++) {
    t.is((await client.reply()).error, 0)
    await client.receive(MiB)
  }
})

test('a flood of refused requests does not pile up replies', async t => {
  const address = await socketAddress(t)
  const server = await testServer(t, { address, limits: { nbdConnectionBytesMax: 128 * 1024 } })
  const client = await transmitter(t, server.address)
  const count = 200_000
  client.socket.pause()
  client.send(...Array.from({ length: count }, () => requestBytesOf({ command: 99 })))
  const other = await transmitter(t, server.address)
  for (let turn = 0; turn < 500; turn++) await other.read(0, 512)
  t.true(client.socket.writableLength > 0, 'requests are left where they are')
  client.socket.resume()
  const replies = await client.receive(count * 16)
  t.is(replies.readUInt32BE(count * 16 - 12), EINVAL)
})

test('behind requests that wait, a client cannot fill the memory', async t => {
  const device = memoryDevice(MiB)
  const { release } = blockReadsBelow(device, 4096)
  const limits = { nbdConnectionRequestsMax: 4 }
  const address = await socketAddress(t)
  const server = await testServer(t, { address, exports: exportOf(device), limits })
  const client = await transmitter(t, server.address)
  for (let cookie = 0n; cookie < 4n; cookie++) client.request({ command: READ, cookie, length: 1 })
  for (let cookie = 4n; cookie < 24n; cookie++) {
    client.request({ command: WRITE, cookie, payload: Buffer.alloc(MiB, 1) })
  }
  const other = await transmitter(t, server.address)
  for (let turn = 0; turn < 500; turn++) await other.read(4096, 512)
  t.true(client.socket.writableLength > 0, 'payloads are left where they are')
  release()
  for (let cookie = 0n; cookie < 4n; cookie++) {
    t.is((await client.reply()).error, 0)
    await client.receive(1)
  }
  for (let cookie = 4n; cookie < 24n; cookie++) {
    t.deepEqual(await client.reply(), { error: 0, cookie })
  }
})

test('a client that leaves without taking its replies is let go', async t => {
  const server = await testServer(t)
  const client = await transmitter(t, server.address)
  client.socket.pause()
  for (let count = 0; count < 30; count++) client.request({ command: READ, length: MiB })
  client.socket.end()
  await until(() => server.connections() === 0)
  t.pass()
})

test.serial(
  'who does not choose an export in time is dropped, who has chosen may idle',
  async t => {
    const server = await testServer(t, { limits: { nbdHandshakeMs: 500 } })
    const idle = await transmitter(t, server.address)
    const silent = await rawClient(t, server.address)
    const slow = await haggler(t, server.address)
    slow.send(optionBytes(7).subarray(0, 9))
    await silent.closed()
    await slow.closed()
    t.is((await idle.read(0, 512)).length, 512)
  }
)

test('clients that take nothing leave room for one that does, and go when it needs more', async t => {
  const device = memoryDevice(MiB)
  const address = await socketAddress(t)
  const server = await testServer(t, {
    address,
    exports: exportOf(device),
    limits: {
      nbdServerBytesMax: 8 * MiB,
      nbdConnectionBytesMax: 8 * MiB,
      nbdUnsentBytesMax: 8 * MiB,
      nbdSendBufferBytes: 4096,
      nbdStuckMs: 400
    }
  })
  const stuck = await Promise.all(Array.from({ length: 6 }, () => transmitter(t, server.address)))
  for (const client of stuck) {
    client.socket.pause()
    for (let count = 0; count < 20; count++) client.request({ command: READ, length: MiB })
  }
  const quick = await transmitter(t, server.address)
  for (let count = 0; count < 200; count++) await quick.read(0, 512)
  t.is((await quick.read(0, MiB)).length, MiB)
  t.true(server.connections() < 7, 'who took nothing was dropped')
})
