import { createHash, randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import test from 'ava'
import { limits } from '../../../src/base/index.ts'
import { until } from '../peers.ts'
import { streamPair } from './tls-peers.ts'

const pieceBytes = 64 * 1024

/**
 * Sends `pieces` random pieces, never more than the stream takes; gives their hash. The stream's own
 * onDrain() waits only the first time that it is asked.
 */
async function sendAll(stream: Stream, pieces: number): Promise<string> {
  const hash = createHash('sha256')
  for (let sent = 0; sent < pieces; sent += 1) {
    const piece = randomBytes(pieceBytes)
    hash.update(piece)
    if (!stream.send(piece)) await drained(stream)
  }
  return hash.digest('hex')
}

async function drained(stream: Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => reject(new Error('the stream has ended')), {
      once: true
    })
  })
}

interface Receiver {
  readonly bytes: () => number
  readonly digest: () => string
}

function receive(stream: Stream): Receiver {
  const hash = createHash('sha256')
  let bytes = 0
  stream.addEventListener('message', ({ data }) => {
    bytes += data.byteLength
    hash.update(data.subarray())
  })
  return { bytes: () => bytes, digest: () => hash.digest('hex') }
}

test('much goes both ways at once and arrives as it was sent', async t => {
  const { dialed, answered } = await streamPair(t)
  const pieces = 512
  const [there, back] = [receive(answered), receive(dialed)]
  const [sent, answer] = await Promise.all([sendAll(dialed, pieces), sendAll(answered, pieces)])
  const total = pieces * pieceBytes
  await until(() => there.bytes() === total && back.bytes() === total, 'all bytes')
  t.is(there.digest(), sent)
  t.is(back.digest(), answer)
})

test('a receiver that stops reading stops the sender, and nothing is lost when it reads on', async t => {
  const { dialed, answered } = await streamPair(t)
  const receiver = receive(answered)
  answered.pause()
  const pieces = 128
  let isSent = false
  const sending = sendAll(dialed, pieces).finally(() => (isSent = true))
  await until(() => dialed.writableNeedsDrain, 'the sender to be stopped')
  await new Promise(resolve => setTimeout(resolve, 200))
  t.false(isSent)
  t.true(dialed.writeBufferLength < limits.unreadBytesMax)
  t.is(receiver.bytes(), 0)
  answered.resume()
  const sent = await sending
  await until(() => receiver.bytes() === pieces * pieceBytes, 'all bytes')
  t.is(receiver.digest(), sent)
})

test('what was sent before a connection is closed arrives before its end', async t => {
  const { connection, dialed, answered } = await streamPair(t)
  const receiver = receive(answered)
  const bytes = randomBytes(200_000)
  dialed.send(bytes)
  await connection.close({ signal: AbortSignal.timeout(60_000) })
  await until(() => answered.status !== 'open', 'the end')
  t.is(receiver.bytes(), bytes.length)
  t.is(receiver.digest(), createHash('sha256').update(bytes).digest('hex'))
})

for (const aborts of ['sender', 'receiver'] as const) {
  test(`the ${aborts} may be cut off in the middle of a transfer: both sides end`, async t => {
    const { connection, server, dialed, answered } = await streamPair(t)
    const receiver = receive(answered)
    const sending = sendAll(dialed, 10_000)
    await until(() => receiver.bytes() > 1_000_000, 'the transfer')
    const [other] = server.getConnections()
    const cut = aborts === 'sender' ? connection : other
    cut?.abort(new Error('on purpose'))
    await t.throwsAsync(sending)
    await until(() => connection.status !== 'open' && other?.status !== 'open', 'both ends')
    t.not(dialed.status, 'open')
    t.not(answered.status, 'open')
    t.throws(() => dialed.send(new Uint8Array(1)))
  })
}
