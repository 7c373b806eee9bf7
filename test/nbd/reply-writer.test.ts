import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
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

test('replies arrive in their order, payloads behind their headers', async t => {
  const { server, client } = await socketPair(t)
  const writer = new ReplyWriter(server)
  const payload = patterned(300_000)
  writer.send(1n, 0, payload)
  writer.send(2n, 22)
  setImmediate(() => writer.send(3n, 0, payload.subarray(7)))
  t.deepEqual(await client.reply(), { error: 0, cookie: 1n })
  t.true(payload.equals(await client.receive(300_000)))
  t.deepEqual(await client.reply(), { error: 22, cookie: 2n })
  t.deepEqual(await client.reply(), { error: 0, cookie: 3n })
  t.true(payload.subarray(7).equals(await client.receive(299_993)))
})

test('replies of one turn wait for its end, and leave even if the socket is ended meanwhile', async t => {
  const { server, client } = await socketPair(t)
  const writer = new ReplyWriter(server)
  writer.send(1n, 0)
  writer.send(2n, 0)
  t.is(server.writableLength, 32)
  server.end()
  t.is((await client.reply()).cookie, 1n)
  t.is((await client.reply()).cookie, 2n)
  await client.closed()
})

test('a reply for a client that is gone goes nowhere', async t => {
  const { server } = await socketPair(t)
  const writer = new ReplyWriter(server)
  server.destroy()
  t.notThrows(() => writer.send(1n, 0))
})
