import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import {
  BootswarmError,
  limits,
  messageOf,
  systemErrorCode,
  type SigningKey
} from '../base/index.ts'
import { lateNoise } from './late-noise.ts'
import { quickYamux } from './quick-yamux.ts'
import { nativeTls } from './tls/encrypter.ts'

/** The libp2p peer id (base58) of an Ed25519 key: a machine's name on the network. */
export function peerIdOf(key: SigningKey): string {
  return peerIdFromPrivateKey(libp2pKey(key)).toString()
}

/** `noise` is for measuring what TLS is worth. */
export type Encryption = 'any' | 'noise'

/**
 * A started libp2p node: TCP, TLS or else noise, yamux, and nothing of libp2p's internet services. Its defaults
 * are for hosts among strangers; a rack that powers on at once would be refused, so every limit is
 * set here. Throws ERR_ADDRESS_IN_USE and ERR_ADDRESS_INVALID for what cannot be listened on.
 */
export async function startNode(
  key: SigningKey,
  listen: readonly string[],
  encryption: Encryption = 'any'
): Promise<Libp2p> {
  // Buffers that cannot be overtaken are kept small; the option reaches net.Socket's constructor.
  const socketOptions = {
    noDelay: true,
    keepAlive: true,
    highWaterMark: limits.sendBufferPeerBytes
  }
  try {
    return await createLibp2p({
      privateKey: libp2pKey(key),
      addresses: { listen: [...listen] },
      transports: [
        tcp({
          dialOpts: socketOptions,
          listenOpts: socketOptions,
          backlog: limits.pendingInboundConnectionsMax,
          // Silence is judged by our own pings, which also see a peer that hangs.
          inboundSocketInactivityTimeout: 0,
          outboundSocketInactivityTimeout: 0
        })
      ],
      // The dialler's order counts: TLS, which costs a fraction of what noise does, where both have it.
      connectionEncrypters: encryption === 'noise' ? [lateNoise()] : [nativeTls(), lateNoise()],
      streamMuxers: [
        quickYamux({
          enableKeepAlive: false,
          maxInboundStreams: limits.streamsPerConnectionMax,
          maxOutboundStreams: limits.streamsPerConnectionMax
        })
      ],
      connectionManager: {
        maxConnections: limits.connectionsMax,
        maxParallelDials: limits.dialsParallel,
        maxDialQueueLength: limits.connectionsMax,
        // A dial's own limit is in its signal (patience.ts).
        dialTimeout: limits.dialMsMax,
        addressDialTimeout: limits.dialMsMax,
        inboundUpgradeTimeout: limits.admissionMs,
        inboundConnectionThreshold: limits.inboundConnectionsPerSecond,
        maxIncomingPendingConnections: limits.pendingInboundConnectionsMax,
        reconnectRetries: 0
      },
      connectionMonitor: { enabled: false }
    })
  } catch (cause) {
    throw listenError(cause, listen)
  }
}

function libp2pKey(key: SigningKey): ReturnType<typeof privateKeyFromRaw> {
  return privateKeyFromRaw(Buffer.concat([key.seed, key.publicKey]))
}

/** By what libp2p's error or one within it says; it puts the reasons into a text, with their stacks. */
const listenReasons = [
  {
    sign: 'EADDRINUSE',
    code: 'ERR_ADDRESS_IN_USE',
    why: 'another process does; stop it or choose another --listen'
  },
  { sign: 'EADDRNOTAVAIL', code: 'ERR_ADDRESS_INVALID', why: 'this host has no such address' },
  { sign: 'EACCES', code: 'ERR_ADDRESS_INVALID', why: 'this user may not use that port' },
  {
    sign: 'UnsupportedListenAddress',
    code: 'ERR_ADDRESS_INVALID',
    why: 'only TCP can be listened on, such as /ip4/0.0.0.0/tcp/4910'
  }
] as const

function listenError(cause: unknown, listen: readonly string[]): BootswarmError {
  const causes = [cause, (cause as { cause?: unknown }).cause, ...errorsOf(cause)]
  const known = listenReasons.find(({ sign }) =>
    causes.some(error => systemErrorCode(error) === sign || String(error).includes(sign))
  )
  const why = known?.why ?? firstLine(messageOf(cause))
  const message = `cannot listen on ${listen.join(', ')}: ${why}`
  return new BootswarmError(known?.code ?? 'ERR_ADDRESS_INVALID', message, { cause })
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text
}

function errorsOf(cause: unknown): unknown[] {
  return cause instanceof AggregateError ? cause.errors : []
}
