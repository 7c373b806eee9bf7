import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'ava'
import { BlockingSocket } from '../../src/base/index.ts'
import { KernelNbd, parseNbdAddress } from '../../src/nbd/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { until } from '../swarm/peers.ts'

// What needs no nbd.ko; test/boot/nbd-attach.test.ts has the rest, in a guest.

test('what is no NBD device is said so before anything is done', t => {
  const options = {
    address: parseNbdAddress('unix:/nowhere'),
    exportName: '',
    deadConnectionSeconds: 1,
    onLost: () => {},
    onReconnected: () => {}
  }
  for (const device of ['/dev/sda', 'nbd0', '/dev/nbd', '/dev/nbd0p1']) {
    t.throws(() => new KernelNbd({ ...options, device }), { code: 'ERR_USAGE', message: /nbd0/ })
  }
})

test('a blocking socket: connects, notices the end, and gives up on who says nothing', async t => {
  const path = join(await temporaryDirectory(t), 'socket')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const socket = BlockingSocket.connect({ kind: 'unix', path }, 100, 'the server')
  const [peer] = (await once(server, 'connection')) as [Socket]
  t.true(socket.isAlive())
  await t.throwsAsync(socket.read(1), {
    code: 'ERR_NBD_PROTOCOL',
    message: /the server: recv: EAGAIN/
  })
  await new Promise<void>(resolve => peer.write('ab', () => resolve()))
  t.is((await socket.read(2)).toString(), 'ab')
  socket.write(Buffer.from('cd'))
  t.is(String((await once(peer, 'data'))[0]), 'cd')
  peer.destroy()
  await new Promise<void>(resolve => server.close(() => resolve()))
  // A process that is being started in the same moment has the descriptor too, until it has begun.
  await until(() => !socket.isAlive(), 'the end of the connection')
  await t.throwsAsync(socket.read(1), { message: /hung up/ })
  socket.close()
  t.throws(() => BlockingSocket.connect({ kind: 'unix', path }, 100, 'the server'), {
    code: 'ERR_NBD_PROTOCOL'
  })
})
