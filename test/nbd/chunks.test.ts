import test from 'ava'
import { data, hole, mappedDevice, written } from '../helpers/mapped-device.ts'
import {
  BLOCK_STATUS,
  DISC,
  EINVAL,
  EOVERFLOW,
  extendedRequestBytesOf,
  FAST_ZERO,
  metaQueryBytes,
  optionBytes,
  PAYLOAD_LEN,
  READ,
  requestBytesOf,
  TRIM,
  WRITE,
  WRITE_ZEROES
} from './client-bytes.ts'
import { transmitter } from './raw-client.ts'
import { testServer } from './test-server.ts'

// Replies in chunks, over a real socket, by a client that was written from the specification's tables:
// no tool on this machine speaks EXTENDED_HEADERS.

const TiB = 2 ** 40
const structured = optionBytes(8)
const extended = optionBytes(11)
const both = optionBytes(10, metaQueryBytes('', ['base:allocation', 'bootswarm:presence']))
const [NONE, OFFSET_DATA, OFFSET_HOLE, STATUS, STATUS_EXT, ERROR] = [0, 1, 2, 5, 6, 0x8001]

/** A device of 8 TiB of which only the first MiB is more than a claim. */
function hugeDevice() {
  const near = mappedDevice(1 << 20, [data(4096), hole(8 * TiB - 8192), written(4096)])
  return { ...near, size: 8 * TiB }
}

function exportsOf(device: ReturnType<typeof hugeDevice>) {
  return [{ name: 'huge', description: '', device, readOnly: false }]
}

test('structured: data and holes, errors in words, block status', async t => {
  const device = mappedDevice(Buffer.alloc(16_384, 7).fill(0, 4096, 8192), [
    data(4096),
    hole(4096),
    written(8192)
  ])
  const exports = [{ name: 'disk', description: '', device, readOnly: false }]
  const server = await testServer(t, { exports })
  const client = await transmitter(t, server.address, '', structured, both)
  client.request({ command: READ, cookie: 1n, offset: 4000, length: 8192 })
  const kinds: [number, number, boolean][] = []
  for (let count = 0; count < 3; count++) {
    const { type, data: bytes, done } = await client.chunk()
    kinds.push([type, Number(bytes.readBigUInt64BE(0)), done])
  }
  t.deepEqual(kinds, [
    [OFFSET_DATA, 4000, false],
    [OFFSET_HOLE, 4096, false],
    [OFFSET_DATA, 8192, true]
  ])
  client.request({ command: READ, cookie: 2n, offset: 16_384, length: 1 })
  const refused = await client.chunk()
  t.like(refused, { type: ERROR, done: true, cookie: 2n })
  t.is(refused.data.readUInt32BE(0), EINVAL)
  t.is(refused.data.toString('utf8', 6), 'EINVAL')
  client.request({ command: BLOCK_STATUS, cookie: 3n, offset: 0, length: 16_384 })
  t.is((await client.chunk()).data.toString('hex').length, 2 * (4 + 3 * 8))
  t.like(await client.chunk(), { type: STATUS, done: true })
  client.request({ command: WRITE, cookie: 4n, payload: Buffer.alloc(1) })
  t.deepEqual(await client.reply(), { error: 0, cookie: 4n })
})

test('extended: every command, and lengths beyond 32 bits', async t => {
  const device = hugeDevice()
  const server = await testServer(t, { exports: exportsOf(device) })
  const client = await transmitter(t, server.address, '', extended, both)
  const ask = async (request: Parameters<typeof extendedRequestBytesOf>[0]) => {
    client.send(extendedRequestBytesOf(request))
    return client.chunk(true)
  }
  const payload = Buffer.alloc(512, 9)
  t.like(await ask({ command: WRITE, flags: PAYLOAD_LEN, payload }), { type: NONE, done: true })
  const read = await ask({ command: READ, length: 512 })
  t.is(read.type, OFFSET_DATA)
  t.true(payload.equals(read.data.subarray(8)))

  const status = await ask({ command: BLOCK_STATUS, length: 8 * TiB })
  t.is(status.type, STATUS_EXT)
  t.is(status.data.readUInt32BE(4), 3)
  t.is(Number(status.data.readBigUInt64BE(8 + 16)), 8 * TiB - 8192)
  t.is(Number(status.data.readBigUInt64BE(8 + 24)), 3)
  t.like(await client.chunk(true), { type: STATUS_EXT, done: true })

  const onlyPresence = Buffer.alloc(12)
  onlyPresence.writeBigUInt64BE(BigInt(8 * TiB))
  onlyPresence.writeUInt32BE(1, 8)
  const filtered = await ask({ command: BLOCK_STATUS, flags: PAYLOAD_LEN, payload: onlyPresence })
  t.like(filtered, { type: STATUS_EXT, done: true })
  t.is(filtered.data.readUInt32BE(0), 1)

  await ask({ command: WRITE_ZEROES, flags: FAST_ZERO, offset: 4096, length: 5 * TiB })
  await ask({ command: TRIM, offset: TiB, length: 6 * TiB })
  t.deepEqual(device.calls.slice(-2), [`zero 4096 ${5 * TiB}`, `trim ${TiB} ${6 * TiB}`])
})

test('extended: what is refused is refused in a chunk, and the next request is found', async t => {
  const server = await testServer(t, { exports: exportsOf(hugeDevice()) })
  const client = await transmitter(t, server.address, '', extended)
  const payload = Buffer.alloc(4000)
  const cases: [Parameters<typeof extendedRequestBytesOf>[0], number][] = [
    [{ command: READ, length: TiB }, EOVERFLOW],
    [{ command: READ, offset: 2n ** 63n, length: 512 }, EINVAL],
    [{ command: READ, offset: 2n ** 64n - 1n, length: 512 }, EINVAL],
    [{ command: TRIM, offset: TiB, length: 2n ** 63n }, EINVAL],
    [{ command: WRITE, length: 4000 }, EINVAL],
    [{ command: TRIM, flags: PAYLOAD_LEN, payload }, EINVAL],
    [{ command: BLOCK_STATUS, length: 512 }, EINVAL],
    [{ command: 99, flags: PAYLOAD_LEN, payload }, EINVAL]
  ]
  for (const [request, error] of cases) {
    client.send(extendedRequestBytesOf(request))
    const { type, data: bytes } = await client.chunk(true)
    t.is(type, ERROR)
    t.is(bytes.readUInt32BE(0), error, `command ${request.command}`)
  }
  client.send(extendedRequestBytesOf({ command: DISC }))
  await client.closed()
})

test('extended: a compact request, or a payload of 4 GiB, ends the connection', async t => {
  const server = await testServer(t, { exports: exportsOf(hugeDevice()) })
  const bad = [
    Buffer.concat([requestBytesOf({ command: READ, length: 1 }), Buffer.alloc(4)]),
    extendedRequestBytesOf({ command: WRITE, flags: PAYLOAD_LEN, length: 2 ** 32 })
  ]
  for (const bytes of bad) {
    const client = await transmitter(t, server.address, '', extended)
    client.send(bytes)
    await client.closed()
  }
  t.pass()
})
