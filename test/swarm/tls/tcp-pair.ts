import type { Logger, MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import type { ExecutionContext } from 'ava'

// Connections as @libp2p/tcp hands them to libp2p, before anything has been done to them.

export interface TcpPair {
  readonly dialed: MultiaddrConnection
  readonly answered: MultiaddrConnection
}

const ignore = (): void => {}
const silent: Logger = Object.assign(ignore, {
  error: ignore,
  trace: ignore,
  enabled: false,
  newScope: (): Logger => silent
})

export async function tcpPair(t: ExecutionContext): Promise<TcpPair> {
  const answered = Promise.withResolvers<MultiaddrConnection>()
  const dialed = Promise.withResolvers<MultiaddrConnection>()
  const upgrader = {
    upgradeInbound: async (connection: MultiaddrConnection) => answered.resolve(connection),
    upgradeOutbound: async (connection: MultiaddrConnection) => dialed.resolve(connection)
  } as unknown as Upgrader
  const transport = tcp()({ logger: { forComponent: () => silent } })
  const listener = transport.createListener({ upgrader })
  await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const [address] = listener.getAddrs()
  if (address === undefined) throw new Error('the listener has no address')
  await transport.dial(address, { upgrader, signal: AbortSignal.timeout(60_000) })
  const pair = { dialed: await dialed.promise, answered: await answered.promise }
  t.teardown(async () => {
    pair.dialed.abort(new Error('the test is over'))
    await listener.close()
  })
  return pair
}
