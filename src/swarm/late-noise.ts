import type {
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  SecuredConnection
} from '@libp2p/interface'
import type { noise } from '@chainsafe/libp2p-noise'

/** What noise is made of: libp2p's own parts, passed on as they come. */
type Components = Parameters<ReturnType<typeof noise>>[0]

/**
 * Noise, loaded when the first peer wants it. Those of bootswarm all speak TLS, and to load it is a tenth of
 * an agent's start: two WebAssembly modules, elliptic curves, a key pair.
 */
export function lateNoise(): (components: Components) => ConnectionEncrypter {
  return components => new LateNoise(components)
}

class LateNoise implements ConnectionEncrypter {
  readonly protocol = '/noise'
  readonly [Symbol.toStringTag] = 'bootswarm/noise'
  readonly #components: Components
  #loading: Promise<ConnectionEncrypter> | undefined

  constructor(components: Components) {
    this.#components = components
  }

  async secureInbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    return (await this.#noise()).secureInbound(connection, options)
  }

  async secureOutbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    return (await this.#noise()).secureOutbound(connection, options)
  }

  #noise(): Promise<ConnectionEncrypter> {
    this.#loading ??= import('@chainsafe/libp2p-noise').then(({ noise }) =>
      noise()(this.#components)
    )
    return this.#loading
  }
}
