import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { silentLogger } from '../../src/base/index.ts'
import { parseNbdAddress, startNbdServer } from '../../src/nbd/index.ts'
import { patterned } from '../conformance/block-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { READ } from './client-bytes.ts'
import { rawClient, transmitter } from './raw-client.ts'
import { exportOf, testServer, until } from './test-server.ts'

const disk = { name: 'disk', description: '', device: memoryDevice(4096), readOnly: false }

test('serves a unix socket, says where, and takes the file away', async t => {
  const path = join(await temporaryDirectory(t), 'nbd.sock')
  const server = await testServer(t, { address: parseNbdAddress(`unix:${path}`) })
  t.is(server.address, `unix:${path}`)
  t.is(server.uri, `nbd+unix:///?socket=${path}`)
  const client = await transmitter(t, server.address)
  t.is((await client.read(0, 512)).length, 512)
  await server.close()
  await t.throwsAsync(lstat(path), { code: 'ENOENT' })
})

test('serves a port, and says which', async t => {
  const server = await testServer(t)
  t.regex(server.address, /^127\.0\.0\.1:[1-9]\d*$/)
  t.is(server.uri, `nbd://${server.address}`)
})

test('serves several exports by name', async t => {
  const image = { ...disk, name: 'image', device: memoryDevice(patterned(8192)) }
  const server = await testServer(t, { exports: [disk, image] })
  const client = await transmitter(t, server.address, 'image')
  t.true(patterned(8192).equals(await client.read(0, 8192)))
})

test('what one connection wrote, another reads', async t => {
  const server = await testServer(t)
  const [first, second] = [
    await transmitter(t, server.address),
    await transmitter(t, server.address)
  ]
  t.is(server.connections(), 2)
  first.request({ command: 1, cookie: 1n, payload: Buffer.alloc(512, 4) })
  await first.reply()
  t.true(Buffer.alloc(512, 4).equals(await second.read(0, 512)))
})

test('a flush on one connection covers what was written on the others', async t => {
  const device = memoryDevice(4096)
  const server = await testServer(t, { exports: exportOf(device) })
  const [first, second, third] = [
    await transmitter(t, server.address),
    await transmitter(t, server.address),
    await transmitter(t, server.address)
  ]
  let durable = Buffer.alloc(0)
  device.hooks = {
    before: async operation => {
      if (operation === 'flush') durable = Buffer.from(device.bytes)
    }
  }
  for (const [at, client] of [first, second].entries()) {
    client.request({ command: 1, offset: at * 512, payload: Buffer.alloc(512, 4 + at) })
    await client.reply()
  }
  third.request({ command: 3, cookie: 9n })
  t.deepEqual(await third.reply(), { error: 0, cookie: 9n })
  t.true(durable.subarray(0, 512).equals(Buffer.alloc(512, 4)))
  t.true(durable.subarray(512, 1024).equals(Buffer.alloc(512, 5)))
})

test('an address that other machines reach needs to be allowed', async t => {
  const options = { exports: [disk], logger: silentLogger, address: parseNbdAddress('0.0.0.0:0') }
  await t.throwsAsync(startNbdServer(options), { code: 'ERR_ADDRESS_INSECURE' })
  const server = await testServer(t, { ...options, insecure: true })
  const client = await transmitter(t, server.address)
  t.is((await client.read(0, 512)).length, 512)
})

test('an address in use says so, and leaves nothing open', async t => {
  const server = await testServer(t)
  const address = parseNbdAddress(server.address)
  await t.throwsAsync(testServer(t, { address }), { code: 'ERR_ADDRESS_IN_USE' })
  await t.notThrowsAsync(transmitter(t, server.address))
})

test('names that the protocol has no room for are refused', async t => {
  const exports = [{ ...disk, name: 'x'.repeat(5000) }]
  await t.throwsAsync(testServer(t, { exports }), { code: 'ERR_NAME_INVALID' })
})

test('clients beyond the limit are turned away, and a place that is left is taken', async t => {
  const server = await testServer(t, { limits: { nbdConnectionsMax: 2 } })
  const first = await transmitter(t, server.address)
  await transmitter(t, server.address)
  const third = await rawClient(t, server.address)
  await third.closed()
  first.socket.destroy()
  await until(() => server.connections() === 1)
  await t.notThrowsAsync(transmitter(t, server.address))
})

test('two hundred clients that connect, idle and vanish leave nothing behind', async t => {
  const server = await testServer(t)
  const clients = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0 ? transmitter(t, server.address) : rawClient(t, server.address)
    )
  )
  t.is(server.connections(), 200)
  for (const client of clients) client.socket.destroy()
  await until(() => server.connections() === 0)
  t.is((await (await transmitter(t, server.address)).read(0, 512)).length, 512)
})

test('close does not wait for clients that wait for nothing', async t => {
  const server = await testServer(t, { limits: { nbdCloseMs: 60_000 } })
  const client = await transmitter(t, server.address)
  await server.close()
  await client.closed()
  t.is(server.connections(), 0)
})

test('close ends idle, haggling and stuck clients, and can be called again', async t => {
  const device = memoryDevice(4096)
  device.hooks = { before: () => new Promise(() => {}) }
  const exports = [{ ...disk, device }]
  const server = await testServer(t, { exports, limits: { nbdCloseMs: 50 } })
  const haggling = await rawClient(t, server.address)
  const idle = await transmitter(t, server.address)
  const stuck = await transmitter(t, server.address)
  stuck.socket.pause()
  stuck.request({ command: READ, length: 512 })
  await until(() => device.readsUnderWay === 1)
  await Promise.all([server.close(), server.close()])
  t.is(server.connections(), 0)
  t.is(device.readsUnderWay, 0)
  await haggling.closed()
  await idle.closed()
  await t.throwsAsync(rawClient(t, server.address), { code: 'ECONNREFUSED' })
})
