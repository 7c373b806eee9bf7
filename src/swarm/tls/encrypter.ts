import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect, createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import type {
  ConnectionEncrypter,
  MessageStream,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory
} from '@libp2p/interface'
import { BootswarmError, limits } from '../../base/index.ts'
import { HandshakeTurns } from './handshake-turns.ts'
import { makeCertificate } from './own-certificate.ts'
import { peerOfCertificate } from './peer-certificate.ts'
import { giveSocket, takeSocket } from './tcp-socket.ts'
import { TlsStream } from './tls-stream.ts'

export interface TlsComponents {
  readonly privateKey: PrivateKey
  readonly upgrader: { getStreamMuxers(): Map<string, StreamMuxerFactory> }
}

type Side = 'client' | 'server'

/** Says that no muxer shall be chosen in the handshake (libp2p/specs, connections/inlined-muxer-negotiation.md). */
const noMuxer = 'libp2p'

/** libp2p's TLS 1.3, spoken by node:tls on the TCP socket itself. */
export function nativeTls(): (components: TlsComponents) => ConnectionEncrypter {
  return components => new NativeTls(components)
}

class NativeTls implements ConnectionEncrypter {
  readonly protocol = '/tls/1.0.0'
  readonly [Symbol.toStringTag] = 'bootswarm/tls'
  #components: TlsComponents
  #context: Promise<SecureContext> | undefined
  #turns = new HandshakeTurns()

  constructor(components: TlsComponents) {
    this.#components = components
  }

  secureInbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    // Its own time begins with its turn: of a whole room that dials at once the last comes late.
    const waits = options?.signal ?? AbortSignal.timeout(limits.admissionMs)
    return this.#turns.take(() => {
      const late = AbortSignal.timeout(limits.helloMs)
      const signal = AbortSignal.any([late, waits])
      return this.#secure(connection, 'server', { ...options, signal })
    }, waits)
  }

  secureOutbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    const signal = options?.signal ?? AbortSignal.timeout(limits.dialMsMax)
    return this.#secure(connection, 'client', { ...options, signal })
  }

  /** Leaves nothing open when it fails. */
  async #secure(
    connection: MessageStream,
    side: Side,
    options: SecureConnectionOptions & { readonly signal: AbortSignal }
  ): Promise<SecuredConnection> {
    try {
      const context = await this.#ownContext()
      const raw = await takeSocket(connection)
      if (raw.destroyed || !raw.readable) throw new Error('the peer hung up before the handshake')
      const muxers =
        options.skipStreamMuxerNegotiation === true
          ? new Map<string, StreamMuxerFactory>()
          : this.#components.upgrader.getStreamMuxers()
      const socket = wrap(raw, side, context, [...muxers.keys()])
      giveSocket(connection, raw, socket)
      socket.on('error', (error: Error) => connection.abort(error))
      await handshake(socket, options.signal)
      const certificate = socket.getPeerX509Certificate()
      const remotePeer = await peerOfCertificate(certificate, options.remotePeer)
      const streamMuxer = chosenMuxer(socket, muxers)
      const stream = new TlsStream(connection, socket)
      return { connection: stream, remotePeer, ...(streamMuxer && { streamMuxer }) }
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      connection.abort(error)
      throw error
    }
  }

  /** One certificate serves all connections of a node: making one costs as much as a handshake. */
  #ownContext(): Promise<SecureContext> {
    this.#context ??= makeCertificate(this.#components.privateKey).then(({ cert, key }) =>
      createSecureContext({
        cert,
        key,
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
        ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
        honorCipherOrder: true,
        // Nobody resumes a session: no tickets with a whole certificate inside.
        secureOptions: constants.SSL_OP_NO_TICKET
      })
    )
    return this.#context
  }
}

function wrap(
  raw: Socket,
  side: Side,
  secureContext: SecureContext,
  muxers: readonly string[]
): TLSSocket {
  const common = {
    secureContext,
    requestCert: true,
    // Who the peer is says the certificate's extension, not an authority.
    rejectUnauthorized: false,
    highWaterMark: limits.sendBufferPeerBytes
  }
  if (side === 'client') {
    return connect({ ...common, socket: raw, ALPNProtocols: [...muxers, noMuxer] })
  }
  const socket = new TLSSocket(raw, {
    ...common,
    isServer: true,
    // The dialler's first choice that we have too; undefined ends the handshake.
    ALPNCallback: ({ protocols }) =>
      protocols.find(protocol => protocol === noMuxer || muxers.includes(protocol))
  })
  // A server's socket outside a tls.Server says only by this event that a record was wrong.
  socket.on('_tlsError', (error: Error) => socket.destroy(error))
  return socket
}

/** Settles when both sides have shown that they hold their certificate's key. */
async function handshake(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = (): void => reject(failed('it was not finished in time'))
  const hungUp = (): void => reject(failed('the peer hung up'))
  const wrong = (cause: Error): void => reject(failed(cause.message, cause))
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  socket.once('secure', resolve)
  socket.once('close', hungUp)
  socket.once('error', wrong)
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', giveUp)
    socket.off('secure', resolve).off('close', hungUp).off('error', wrong)
  }
}

function chosenMuxer(
  socket: TLSSocket,
  muxers: ReadonlyMap<string, StreamMuxerFactory>
): StreamMuxerFactory | undefined {
  const { alpnProtocol } = socket
  if (typeof alpnProtocol !== 'string' || alpnProtocol === noMuxer) return undefined
  const muxer = muxers.get(alpnProtocol)
  if (muxer === undefined) throw failed(`the peer chose ${alpnProtocol}, which was not offered`)
  return muxer
}

function failed(why: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_PEER_UNTRUSTED', `a TLS handshake failed: ${why}`, { cause })
}
