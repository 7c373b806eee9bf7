import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { readDirectly } from '../../src/base/index.ts'
import { until } from '../swarm/peers.ts'
import { makeIdentity } from '../swarm/tls/certificates.ts'

const buffer = Buffer.allocUnsafeSlow(16 * 1024)

async function socketPair(t: ExecutionContext): Promise<{ near: TLSSocket; far: TLSSocket }> {
  const { own } = await makeIdentity()
  const server = createServer({ ...own, minVersion: 'TLSv1.3' })
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const far = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const [near] = await accepted
  t.teardown(() => {
    for (const socket of [near, far]) socket.destroy()
    server.close()
  })
  return { near, far }
}

test('Node reads a socket of another into one buffer, in the way that direct-read.ts knows', async t => {
  const { near, far } = await socketPair(t)
  const hash = createHash('sha256')
  const memories = new Set<ArrayBufferLike>()
  let bytes = 0
  const isDone = readDirectly(near, buffer, part => {
    memories.add(part.buffer)
    bytes += part.length
    hash.update(part)
  })
  t.true(isDone, 'read how this version of Node holds onread, then change direct-read.ts')
  const sent = randomBytes(3_000_000)
  far.end(sent)
  await until(() => bytes === sent.length, 'all bytes')
  t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'))
  t.is(memories.size, 1)
  await until(() => near.readableEnded, 'the end')
})

test('what came before is handed over first', async t => {
  const { near, far } = await socketPair(t)
  far.write('before, ')
  await until(() => near.readableLength === 8, 'the first bytes')
  let heard = ''
  readDirectly(near, buffer, part => void (heard += part.toString()))
  t.is(heard, 'before, ')
  far.write('after')
  await until(() => heard === 'before, after', 'the rest')
})

test('a socket that pauses is not read, and is read on when it resumes', async t => {
  const { near, far } = await socketPair(t)
  let bytes = 0
  readDirectly(near, buffer, part => {
    bytes += part.length
    near.pause()
  })
  const total = 20_000_000
  far.write(Buffer.alloc(total))
  await until(() => bytes > 0, 'the first bytes')
  await new Promise(resolve => setTimeout(resolve, 200))
  t.true(bytes < total / 2)
  while (bytes < total) {
    near.resume()
    await new Promise(resolve => setImmediate(resolve))
  }
  t.is(bytes, total)
})

test('bytes are read to where they are wanted, as long as they are', async t => {
  const server = net.createServer()
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const far = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [near] = await accepted
  t.teardown(() => {
    for (const socket of [near, far]) socket.destroy()
    server.close()
  })
  const goal = Buffer.alloc(1_000_000)
  let [elsewhere, placed] = [0, 0]
  const take = (part: Buffer): void => {
    if (part.buffer === goal.buffer) placed += part.length
    else elsewhere += part.length
  }
  const place = (): Buffer | undefined =>
    placed < goal.length && elsewhere > 0 ? goal.subarray(placed) : undefined
  t.true(readDirectly(near, buffer, take, place))
  const sent = randomBytes(2_000_000)
  far.write(sent.subarray(0, 10))
  await until(() => elsewhere === 10, 'the first bytes')
  far.end(sent.subarray(10))
  await until(() => elsewhere + placed === sent.length, 'all bytes')
  t.is(placed, goal.length)
  t.true(goal.equals(sent.subarray(10, 10 + goal.length)))
  await until(() => near.readableEnded, 'the end')
})
