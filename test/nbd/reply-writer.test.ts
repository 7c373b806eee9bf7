import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
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

test('replies arrive in their order, payloads behind their headers', async t => {
  const { server, client } = await socketPair(t)
  const writer = new ReplyWriter(server)
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

test('replies of one turn wait for its end, and leave even if the socket is ended meanwhile', async t => {
  const { server, client } = await socketPair(t)
  const writer = new ReplyWriter(server)
  writer.send([encodeSimpleReply(0, 1n)])
  writer.send([encodeSimpleReply(0, 2n)])
  t.is(server.writableLength, 32)
  server.end()
  t.is((await client.reply()).cookie, 1n)
  t.is((await client.reply()).cookie, 2n)
  await client.closed()
})

test('it is told when a reply was taken, or never will be', async t => {
  const { server, client } = await socketPair(t)
  const writer = new ReplyWriter(server)
  await new Promise<void>(resolve => writer.send([encodeSimpleReply(0, 1n)], resolve))
  t.is((await client.reply()).cookie, 1n)
  client.socket.pause()
  const never = new Promise<void>(resolve => writer.send([Buffer.alloc(50_000_000)], resolve))
  setImmediate(() => server.destroy())
  await never
  await new Promise<void>(resolve => writer.send([Buffer.alloc(1)], resolve))
})

test('a reply for a client that is gone goes nowhere', async t => {
  const { server } = await socketPair(t)
  const writer = new ReplyWriter(server)
  server.destroy()
  t.notThrows(() => writer.send([encodeSimpleReply(0, 1n)]))
})
