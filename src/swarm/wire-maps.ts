import { isChunkId } from '../image/index.ts'
import type { MachineReport, Message, PeerAddress } from './messages.ts'
import { isLocation } from './place.ts'
import { cbor, cborMap, isCount, isShortString, malformed, strings } from './wire-fields.ts'

// The messages whose bodies are dag-cbor, since they are rare and may grow.

/** Goes up when an older peer would misunderstand us; peers compare it in the hello. */
export const protocolVersion = 4

const peersMax = 64

export function decodeHello(body: Buffer): Message {
  const fields = cborMap(body, 'hello')
  const { version, certificate, listen, location, lists } = fields
  // The version alone must stay readable for ever: it tells a stranger which side to upgrade.
  if (!isCount(version)) throw malformed('a hello has no version')
  if (version !== protocolVersion) {
    return { type: 'hello', version, certificate: new Uint8Array(), listen: [] }
  }
  if (!(certificate instanceof Uint8Array)) throw malformed('a hello has no certificate')
  const isPlace = typeof location === 'string' && isLocation(location)
  if (location !== undefined && !isPlace) throw malformed('a hello has a malformed location')
  if (lists !== undefined && typeof lists !== 'boolean') throw malformed('a hello has bad lists')
  const addresses = strings(listen, 'listen addresses')
  return {
    type: 'hello',
    version,
    certificate,
    listen: addresses,
    ...(isPlace ? { location } : {}),
    ...(lists === undefined ? {} : { lists })
  }
}

export function decodePeers(bytes: Uint8Array): PeerAddress[] {
  const list = cbor(bytes, 'peer list')
  if (!Array.isArray(list) || list.length > peersMax) throw malformed('a peer list is malformed')
  return list.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw malformed('a peer is not a pair')
    const [peerId, addresses] = entry as [unknown, unknown]
    if (!isShortString(peerId)) throw malformed('a peer has no id')
    return { peerId, addresses: strings(addresses, 'peer addresses') }
  })
}

export function decodeReport(body: Buffer): MachineReport {
  const fields = cborMap(body, 'report')
  const { state, imageId, present, rate, bytesFromSeed, bytesFromPeers } = fields
  if (!isShortString(state) || typeof imageId !== 'string' || !isChunkId(imageId)) {
    throw malformed('a report is malformed')
  }
  const numbers = { present, rate, bytesFromSeed, bytesFromPeers }
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value !== 'number' || !(value >= 0)) throw malformed(`a report has a bad ${name}`)
    if (name === 'present' && value > 1) throw malformed('a report has more than all present')
  }
  const report = { state, imageId, ...(numbers as Record<keyof typeof numbers, number>) }
  const lists = (['ids', 'bootUrls', 'bootFiles'] as const).filter(name => name in fields)
  return Object.assign(report, Object.fromEntries(lists.map(n => [n, strings(fields[n], n)])))
}

export function plainPeers(peers: readonly PeerAddress[]): [string, string[]][] {
  return peers.map(peer => [peer.peerId, [...peer.addresses]])
}
