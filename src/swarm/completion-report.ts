import { encode as encodeCbor } from '@ipld/dag-cbor'
import { peerIdFromString } from '@libp2p/peer-id'
import { BootswarmError, limits, sign, verifySignature, type SigningKey } from '../base/index.ts'
import type { ChunkId, CompletionFigures } from '../base/index.ts'
import { decodeObject, isChunkId } from '../image/index.ts'

/**
 * What a machine says, signed with its own key, when its disk holds the whole image and was read back:
 * a seed keeps it, and whoever knows the machine's peer id can check it later (docs/swarm-wire.md).
 */
export interface CompletionReport {
  readonly peerId: string
  readonly imageId: ChunkId
  readonly figures: CompletionFigures
}

const formatVersion = 1
const purpose = 'completion'

const figureNames = [
  'verifiedBytes',
  'machineWrittenBytes',
  'unverifiableBytes',
  'seconds',
  'bytesFromSeed',
  'bytesFromPeers',
  'bytesLocal'
] as const satisfies readonly (keyof CompletionFigures)[]

/** `report.peerId` has to be that of the key. */
export function signCompletion(key: SigningKey, report: CompletionReport): Uint8Array {
  const { peerId, imageId, figures } = report
  const named = Object.fromEntries(figureNames.map(name => [name, figures[name]]))
  const payload = encodeCbor({ version: formatVersion, peerId, imageId, ...named })
  return encodeCbor({ payload, signature: sign(key, purpose, payload) })
}

/**
 * Checks what the machine `peerId` says. ERR_PEER_PROTOCOL when it is malformed or not signed by that
 * machine, ERR_FORMAT_VERSION when a newer one signed it.
 */
export function openCompletion(peerId: string, bytes: Uint8Array): CompletionReport {
  if (bytes.length > limits.completionBytesMax) throw untrue(peerId, 'it is too long')
  const { payload, signature } = decodeMap(peerId, bytes)
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw untrue(peerId, 'it is malformed')
  }
  if (!verifySignature(publicKeyOf(peerId), purpose, payload, signature)) {
    throw untrue(peerId, "its signature is not that machine's")
  }
  const fields = decodeMap(peerId, payload)
  if (fields.version !== formatVersion) {
    throw new BootswarmError(
      'ERR_FORMAT_VERSION',
      `peer ${peerId} reports completion in format ${String(fields.version)}, this bootswarm reads ${formatVersion}: upgrade the older side`
    )
  }
  const { imageId } = fields
  if (fields.peerId !== peerId) throw untrue(peerId, 'it speaks of another machine')
  if (typeof imageId !== 'string' || !isChunkId(imageId)) throw untrue(peerId, 'it names no image')
  const figures = figureNames.map(name => [name, figureOf(peerId, name, fields[name])])
  return { peerId, imageId, figures: Object.fromEntries(figures) as Record<FigureName, number> }
}

type FigureName = (typeof figureNames)[number]

function figureOf(peerId: string, name: FigureName, value: unknown): number {
  const isNumber = typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
  if (isNumber && (name === 'seconds' || Number.isInteger(value))) return value
  throw untrue(peerId, `it has a bad ${name}`)
}

/** 32 bytes; empty for an id that holds no Ed25519 key, which has signed nothing. */
function publicKeyOf(peerId: string): Uint8Array {
  try {
    const { publicKey } = peerIdFromString(peerId)
    return publicKey?.type === 'Ed25519' ? publicKey.raw : new Uint8Array()
  } catch {
    return new Uint8Array()
  }
}

function decodeMap(peerId: string, bytes: Uint8Array): Record<string, unknown> {
  const fields = decodeObject(bytes)
  if (fields === undefined) throw untrue(peerId, 'it is malformed')
  return fields
}

function untrue(peerId: string, why: string): BootswarmError {
  return new BootswarmError(
    'ERR_PEER_PROTOCOL',
    `the completion report of peer ${peerId} is not accepted: ${why}`
  )
}
