import { decode as decodeCbor } from '@ipld/dag-cbor'
import { BootswarmError, limits, type ChunkId } from '../base/index.ts'
import { decodeObject } from '../image/index.ts'

// What messages are made of. Whatever a peer sends is bounded and checked here before anybody sees it.

export const digestBytes = 32
export const stringBytesMax = 512

export function cbor(bytes: Uint8Array, what: string): unknown {
  try {
    return decodeCbor(bytes)
  } catch (cause) {
    throw malformed(`a ${what} is not dag-cbor`, cause)
  }
}

export function cborMap(bytes: Uint8Array, what: string): Record<string, unknown> {
  const fields = decodeObject(bytes)
  if (fields === undefined) throw malformed(`a ${what} is not a map of dag-cbor`)
  return fields
}

export function strings(value: unknown, what: string): string[] {
  const most = limits.addressesPerPeerMax
  if (!Array.isArray(value) || value.length > most || !value.every(isShortString)) {
    throw malformed(`${what} are not a short list of strings`)
  }
  return value
}

export function isShortString(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && Buffer.byteLength(value) <= stringBytesMax
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function digest(body: Buffer, at: number): ChunkId {
  return body.toString('hex', at, at + digestBytes)
}

export function flag(byte: number | undefined): boolean {
  if (byte !== 0 && byte !== 1) throw malformed('a flag is neither 0 nor 1')
  return byte === 1
}

export function pick<T>(choices: readonly T[], index: number | undefined, what: string): T {
  const choice = choices[index ?? -1]
  if (choice === undefined) throw malformed(`${what} ${index} is unknown`)
  return choice
}

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

export function malformed(why: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_PEER_PROTOCOL', `a peer sent a malformed message: ${why}`, {
    cause
  })
}
