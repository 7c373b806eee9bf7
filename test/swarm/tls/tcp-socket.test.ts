import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import test from 'ava'
import type { MessageStream } from '@libp2p/interface'
import { giveSocket, takeSocket } from '../../../src/swarm/tls/tcp-socket.ts'
import { projectRoot } from '../../helpers/process.ts'
import { rejectsWith } from '../../helpers/errors.ts'
import { until } from '../peers.ts'
import { tcpPair } from './tcp-pair.ts'

// These fail when a version of @libp2p/tcp holds its socket in another way than tcp-socket.ts knows:
// then that file must follow, or TLS does not work at all.

test('@libp2p/tcp is the version that tcp-socket.ts was written for', async t => {
  const project = JSON.parse(await readFile(`${projectRoot}/package.json`, 'utf8')) as {
    dependencies: Record<string, string>
  }
  const installed = `${projectRoot}/node_modules/@libp2p/tcp/package.json`
  const { version } = JSON.parse(await readFile(installed, 'utf8')) as { version: string }
  t.is(project.dependencies['@libp2p/tcp'], version, 'pinned to one version, no range')
  t.is(version, '11.0.28', 'read how this version holds its socket, then change this line')
})

test('the socket that is taken is the connected one, and libp2p hears of no byte any more', async t => {
  const { dialed, answered } = await tcpPair(t)
  const heard: Uint8Array[] = []
  answered.addEventListener('message', ({ data }) => void heard.push(data.subarray()))
  const socket = await takeSocket(answered)
  t.is(socket.listenerCount('data'), 0)
  dialed.send(Buffer.from('for the new owner'))
  const received: Buffer[] = []
  socket.on('data', (bytes: Buffer) => void received.push(bytes)).resume()
  await until(() => Buffer.concat(received).toString() === 'for the new owner', 'the bytes')
  t.deepEqual(heard, [])
})

test('bytes that libp2p had read already and nobody took are in the socket again, first', async t => {
  const { dialed, answered } = await tcpPair(t)
  dialed.send(Buffer.from('before, '))
  await until(() => answered.readBufferLength === 8, 'the first bytes')
  const socket = await takeSocket(answered)
  t.is(answered.readBufferLength, 0)
  dialed.send(Buffer.from('after'))
  const received: Buffer[] = []
  socket.on('data', (bytes: Buffer) => void received.push(bytes)).resume()
  await until(() => Buffer.concat(received).length === 13, 'all bytes')
  t.is(Buffer.concat(received).toString(), 'before, after')
})

test('a connection that holds no socket, or is read by others too, is refused', async t => {
  const { answered } = await tcpPair(t)
  await rejectsWith(t, 'ERR_INTERNAL', takeSocket({} as MessageStream))
  await rejectsWith(t, 'ERR_INTERNAL', takeSocket({ socket: {} } as unknown as MessageStream))
  ;(answered as unknown as { socket: Socket }).socket.on('data', () => {})
  await rejectsWith(t, 'ERR_INTERNAL', takeSocket(answered))
})

test('closing and cutting off a connection reach the socket that was given to it', async t => {
  for (const end of ['close', 'abort'] as const) {
    const { dialed, answered } = await tcpPair(t)
    const raw = await takeSocket(answered)
    const secured = new TLSSocket(raw, { isServer: true })
    giveSocket(answered, raw, secured)
    const called: string[] = []
    const destroySoon = secured.destroySoon.bind(secured)
    const resetAndDestroy = secured.resetAndDestroy.bind(secured)
    secured.destroySoon = () => {
      called.push('close')
      destroySoon()
    }
    secured.resetAndDestroy = () => {
      called.push('abort')
      return resetAndDestroy()
    }
    if (end === 'close') await answered.close({ signal: AbortSignal.timeout(60_000) })
    else answered.abort(new Error('on purpose'))
    t.deepEqual(called, [end])
    await until(() => raw.destroyed && dialed.status !== 'open', 'the end on both sides')
    t.is(answered.status, end === 'close' ? 'closed' : 'aborted')
  }
})
