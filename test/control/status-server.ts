import { createServer, type RequestListener } from 'node:http'
import type { ListenOptions } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { SeedStatus } from '../../src/control/status.ts'

export const status: SeedStatus = {
  seed: {
    name: 'admin-pc',
    peerId: '12D3KooW',
    addresses: ['/ip4/127.0.0.1/tcp/4910/p2p/12D3KooW'],
    uptimeSeconds: 12,
    bytesSent: 3_456
  },
  images: [{ name: 'debian', tag: '12', cid: 'bafy' }],
  machines: []
}

/** Something that listens where a seed would, and answers as it is told. Gives its HTTP port. */
export async function listenAs(
  t: ExecutionContext,
  where: ListenOptions,
  answer: RequestListener
): Promise<number> {
  const server = createServer(answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, resolve)
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
