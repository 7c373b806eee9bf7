import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { generateSigningKey, limits, signingKeyFromSeed, type SigningKey } from '../base/index.ts'
import type { PeerAddress } from '../swarm/index.ts'

/** Who this machine is: kept with its disk metadata, so that it stays the same across restarts. */
export interface Identity {
  readonly key: SigningKey
  /** Undefined until a seed has signed one. */
  readonly certificate: Uint8Array | undefined
  /** Peers that it met, so that a dead seed does not keep it out of the swarm. */
  readonly peers: readonly PeerAddress[]
  /** What it reported when its disk was complete, signed; it may be of an earlier image. */
  readonly completion?: Uint8Array | undefined
}

const formatVersion = 1

export function newIdentity(): Identity {
  return { key: generateSigningKey(), certificate: undefined, peers: [] }
}

export function encodeIdentity(identity: Identity): Uint8Array {
  const { key, certificate, peers, completion } = identity
  return encodeCbor({
    version: formatVersion,
    key: key.seed,
    certificate: certificate ?? null,
    completion: completion ?? null,
    peers: peers
      .slice(0, limits.peersIntroducedMax)
      .map(peer => [peer.peerId, peer.addresses.slice(0, 8)])
  })
}

/** Undefined when the bytes are not an identity of this version: the machine then enrols anew. */
export function decodeIdentity(bytes: Uint8Array): Identity | undefined {
  try {
    const fields: Record<string, unknown> = decodeCbor(bytes)
    const { version, key, certificate, peers, completion } = fields
    if (version !== formatVersion || !(key instanceof Uint8Array) || key.length !== 32) {
      return undefined
    }
    return {
      key: signingKeyFromSeed(key),
      certificate: certificate instanceof Uint8Array ? certificate : undefined,
      peers: Array.isArray(peers) ? peers.flatMap(asPeer) : [],
      completion: completion instanceof Uint8Array ? completion : undefined
    }
  } catch {
    return undefined
  }
}

function asPeer(value: unknown): PeerAddress[] {
  if (!Array.isArray(value)) return []
  const [peerId, addresses] = value as [unknown, unknown]
  if (typeof peerId !== 'string' || !Array.isArray(addresses)) return []
  return [{ peerId, addresses: addresses.filter(address => typeof address === 'string') }]
}
