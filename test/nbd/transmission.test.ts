import test from 'ava'
import { patterned } from '../conformance/block-device.ts'
import { memoryDevice, type MemoryDevice } from '../helpers/memory-device.ts'
import {
  EINVAL,
  extendedRequestBytesOf,
  optionBytes,
  READ,
  requestBytesOf,
  WRITE
} from './client-bytes.ts'
import { transmitter } from './raw-client.ts'
import { testServer } from './test-server.ts'

// Reads that a device answers at once, beside those that it does not.

const MiB = 1024 * 1024

/** Has at hand what does not lie in the first part of it. */
function promptDevice(device: MemoryDevice, absentBytes: number) {
  const answered: number[] = []
  return {
    answered,
    device: Object.assign(device, {
      readNow(offset: number, into: Buffer): boolean {
        if (offset < absentBytes) return false
        answered.push(offset)
        device.bytes.copy(into, 0, offset, offset + into.length)
        return true
      }
    })
  }
}

function exportsOf(device: MemoryDevice) {
  return [{ name: 'disk', description: '', device, readOnly: false }]
}

test('what is at hand is read at once, the rest when it comes, in each style', async t => {
  const { device, answered } = promptDevice(memoryDevice(patterned(MiB)), 8192)
  const server = await testServer(t, { exports: exportsOf(device) })
  const simple = await transmitter(t, server.address)
  const inChunks = await transmitter(t, server.address, '', optionBytes(8))
  const extended = await transmitter(t, server.address, '', optionBytes(11))
  for (const offset of [0, 5000, 8192, 100_001]) {
    const expected = patterned(MiB).subarray(offset, offset + 5000)
    t.true(expected.equals(await simple.read(offset, 5000)), `simple, ${offset}`)
    inChunks.request({ command: READ, cookie: 3n, offset, length: 5000 })
    extended.send(extendedRequestBytesOf({ command: READ, cookie: 3n, offset, length: 5000 }))
    for (const chunk of [await inChunks.chunk(), await extended.chunk(true)]) {
      t.like(chunk, { done: true, type: 1, cookie: 3n })
      t.is(Number(chunk.data.readBigUInt64BE(0)), offset)
      t.true(expected.equals(chunk.data.subarray(8)), `in chunks, ${offset}`)
    }
  }
  t.deepEqual(answered, [8192, 8192, 8192, 100_001, 100_001, 100_001])
})

test('thousands that came at once are all answered, and so are writes and mistakes among them', async t => {
  const { device, answered } = promptDevice(memoryDevice(patterned(MiB)), 4096)
  const limits = { nbdUnsentBytesMax: 300_000, nbdConnectionBytesMax: MiB, nbdRequestBytesMax: MiB }
  const server = await testServer(t, { exports: exportsOf(device), limits })
  const client = await transmitter(t, server.address)
  const wanted = new Map<bigint, Buffer>()
  const requests: Buffer[] = []
  for (let cookie = 0n; cookie < 4000n; cookie++) {
    const offset = (Number(cookie) * 4096) % MiB
    const kind = cookie % 100n
    const payload = Buffer.from(device.bytes.subarray(offset, offset + 512))
    if (kind === 7n) requests.push(requestBytesOf({ command: WRITE, cookie, offset, payload }))
    else if (kind === 8n) requests.push(requestBytesOf({ command: 99, cookie }))
    else {
      const length = kind === 9n ? 100_000 : 4096
      const start = Math.min(offset, MiB - length)
      requests.push(requestBytesOf({ command: READ, cookie, offset: start, length }))
      wanted.set(cookie, device.bytes.subarray(start, start + length))
    }
  }
  client.send(...requests)
  const other = await transmitter(t, server.address)
  t.is((await other.read(8192, 512)).length, 512)
  const payloads = [...wanted.values()].reduce((sum, { length }) => sum + length, 0)
  const replies = await client.receive(16 * requests.length + payloads)
  const seen = new Set<bigint>()
  for (let at = 0; at < replies.length; at += 16) {
    t.is(replies.readUInt32BE(at), 0x67446698)
    const cookie = replies.readBigUInt64BE(at + 8)
    t.false(seen.has(cookie))
    seen.add(cookie)
    t.is(replies.readUInt32BE(at + 4), cookie % 100n === 8n ? EINVAL : 0)
    const expected = wanted.get(cookie)
    if (expected === undefined) continue
    if (!expected.equals(replies.subarray(at + 16, at + 16 + expected.length))) {
      t.fail(`reply ${cookie}`)
    }
    at += expected.length
  }
  t.is(seen.size, requests.length)
  t.true(answered.length > 3000)
})

test('a client that takes no replies gets no more of them made, though all is at hand', async t => {
  const { device, answered } = promptDevice(memoryDevice(MiB), 0)
  const server = await testServer(t, { exports: exportsOf(device) })
  const client = await transmitter(t, server.address)
  client.socket.pause()
  const count = 20_000
  client.send(
    ...Array.from({ length: count }, (_, at) =>
      requestBytesOf({ command: READ, cookie: BigInt(at), length: 4096 })
    )
  )
  const other = await transmitter(t, server.address)
  for (let turn = 0; turn < 500; turn++) await other.read(0, 512)
  t.true(answered.length - 500 < count / 2, `${answered.length} of ${count} made`)
  client.socket.resume()
  const replies = await client.receive(count * (16 + 4096))
  t.is(replies.readBigUInt64BE(replies.length - 4096 - 8), BigInt(count - 1))
})
