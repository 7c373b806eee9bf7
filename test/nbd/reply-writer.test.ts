import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { BufferPool } from '../../src/nbd/buffer-pool.ts'
import { encodeSimpleReply } from '../../src/nbd/reply-wire.ts'
import { ReplyWriter } from '../../src/nbd/reply-writer.ts'
import { patterned } from '../conformance/block-device.ts'
import { RawClient } from './raw-client.ts'

async function socketPair(t: ExecutionContext): Promise<{ server: Socket; client: RawClient }> {
  const listener = createServer()
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const socket = connect((listener.address() as AddressInfo).port, '127.0.0.1')
  const [server] = (await once(listener, 'connection')) as [Socket]
  t.teardown(() => {
    socket.destroy()
    server.destroy()
    listener.close()
  })
  return { server, client: new RawClient(socket) }
}

const ignored = (): void => {}

function writerOf(server: Socket, onTaken: (heldBytes: number) => void = ignored): ReplyWriter {
  return new ReplyWriter(server, new BufferPool(1 << 20), onTaken)
}

test('replies arrive in their order, payloads behind their headers', async t => {
  const { server, client } = await socketPair(t)
  const writer = writerOf(server)
  const payload = patterned(300_000)
  writer.send([encodeSimpleReply(0, 1n), payload])
  writer.send([encodeSimpleReply(22, 2n)])
  setImmediate(() => writer.send([encodeSimpleReply(0, 3n), payload.subarray(7)]))
  t.deepEqual(await client.reply(), { error: 0, cookie: 1n })
  t.true(payload.equals(await client.receive(300_000)))
  t.deepEqual(await client.reply(), { error: 22, cookie: 2n })
  t.deepEqual(await client.reply(), { error: 0, cookie: 3n })
  t.true(payload.subarray(7).equals(await client.receive(299_993)))
})

test('replies of one turn wait for its end, and leave before the socket is ended if they are sent', async t => {
  const { server, client } = await socketPair(t)
  const writer = writerOf(server)
  writer.send([encodeSimpleReply(0, 1n)])
  writer.send([encodeSimpleReply(0, 2n)])
  t.is(server.bytesWritten, 0)
  writer.flush()
  server.end()
  t.is((await client.reply()).cookie, 1n)
  t.is((await client.reply()).cookie, 2n)
  await client.closed()
})

test('a reply that is made in its place leaves with the others, and what all of them held is told', async t => {
  const { server, client } = await socketPair(t)
  const payload = patterned(60_000)
  let heldBytes = 0
  const writer = writerOf(server, bytes => void (heldBytes += bytes))
  // More than one batch takes.
  for (let cookie = 1n; cookie <= 10n; cookie++) {
    const place = writer.place(16 + payload.length)
    place?.set(encodeSimpleReply(0, cookie))
    place?.set(payload, 16)
    writer.fill(16 + payload.length, payload.length)
    t.true(writer.place(5) !== undefined, 'a place that is not filled is nothing')
  }
  t.is(writer.place(1 << 20), undefined)
  writer.send([encodeSimpleReply(5, 11n)])
  writer.flush()
  for (let cookie = 1n; cookie <= 10n; cookie++) {
    t.deepEqual(await client.reply(), { error: 0, cookie })
    t.true(payload.equals(await client.receive(payload.length)))
  }
  t.deepEqual(await client.reply(), { error: 5, cookie: 11n })
  t.is(heldBytes, 10 * payload.length)
  t.is(writer.unsentBytes, 0)
  t.is(writer.stuckMs(performance.now()), 0)
})

test('it is told when a reply was taken, or never will be', async t => {
  const { server, client } = await socketPair(t)
  const writer = writerOf(server)
  await new Promise<void>(resolve => writer.send([encodeSimpleReply(0, 1n)], 0, resolve))
  t.is((await client.reply()).cookie, 1n)
  client.socket.pause()
  const never = new Promise<void>(resolve => writer.send([Buffer.alloc(50_000_000)], 0, resolve))
  setImmediate(() => server.destroy())
  await never
  await new Promise<void>(resolve => writer.send([Buffer.alloc(1)], 0, resolve))
})

test('a reply for a client that is gone goes nowhere', async t => {
  const { server } = await socketPair(t)
  const writer = writerOf(server)
  server.destroy()
  t.notThrows(() => writer.send([encodeSimpleReply(0, 1n)]))
})
