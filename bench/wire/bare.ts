import { createServer, connect } from 'node:tls'
import type { Frame } from '../../src/base/index.ts'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { makeCertificate } from '../../src/swarm/tls/own-certificate.ts'
import { counted } from './usage.ts'

// TLS as node:tls has it, on the same certificate and cipher: a request is four bytes, the answer the
// frame's bytes. What any protocol on top can at best cost nothing beside.

const tlsOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256'
} as const
const requestBytes = 4

export async function serveBare(frames: readonly Frame[]): Promise<number> {
  const own = await makeCertificate(await generateKeyPair('Ed25519'))
  const server = createServer({ ...own, ...tlsOptions }, socket => {
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      while (rest.length >= requestBytes) {
        const frame = frames[rest.readUInt32BE(0) % frames.length]
        rest = rest.subarray(requestBytes)
        if (frame === undefined) continue
        socket.write(frame.bytes)
        counted.frameBytes += frame.bytes.length
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as { port: number }).port
}

export async function fetchBare(port: number, frameBytes: number, depth: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...tlsOptions })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  const chunk = Buffer.alloc(frameBytes)
  let filled = 0
  let next = 0
  const ask = (): void => {
    const request = Buffer.alloc(requestBytes)
    request.writeUInt32BE(next++, 0)
    socket.write(request)
  }
  socket.on('data', (bytes: Buffer) => {
    counted.frameBytes += bytes.length
    counted.plainBytes += bytes.length
    for (let at = 0; at < bytes.length;) {
      const taken = bytes.copy(chunk, filled, at, at + frameBytes - filled)
      at += taken
      filled += taken
      if (filled < frameBytes) continue
      filled = 0
      ask()
    }
  })
  for (let n = 0; n < depth; n += 1) ask()
}
