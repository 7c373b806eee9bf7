import { encode } from '@ipld/dag-cbor'
import { limits } from '../base/index.ts'
import type { ChunkId, SigningKey } from '../base/index.ts'
import { decodeObject } from './format.ts'
import { idOfLink, linkTo } from './ids.ts'
import { openEnvelope, signEnvelope, type EnvelopeKind } from './signed-envelope.ts'

// In which order a boot first touches chunks: as machines report it, and as the lab signs what came of
// several reports (docs/boot-profile.md).

const profileVersion = 1
const kind: EnvelopeKind = {
  purpose: 'boot profile',
  what: 'a boot profile',
  version: profileVersion,
  bytesMax: limits.profileBytesMax,
  untrustedCode: 'ERR_PROFILE_UNTRUSTED'
}
const stepBytes = 8
const u32Max = 0xffff_ffff

/** One chunk that a boot touched, and when. */
export interface BootStep {
  /** Of the chunk in the image. */
  readonly position: number
  /** Milliseconds from the boot's first read. */
  readonly ms: number
}

/** What boots of an image are foreseen to read, first to last. */
export interface BootProfile {
  readonly imageId: ChunkId
  /** How many boots it was learned from. */
  readonly reports: number
  readonly steps: readonly BootStep[]
}

/** Steps packed: position and ms, u32 each, big-endian; at most `limits.bootChunksMax` of them. */
export function encodeBootOrder(steps: readonly BootStep[]): Uint8Array {
  const bytes = Buffer.alloc(steps.length * stepBytes)
  for (const [index, { position, ms }] of steps.entries()) {
    bytes.writeUInt32BE(position, index * stepBytes)
    bytes.writeUInt32BE(Math.min(u32Max, Math.round(ms)), index * stepBytes + 4)
  }
  return new Uint8Array(bytes)
}

/** Undefined for what is empty, too long, torn, or names a chunk twice. */
export function decodeBootOrder(bytes: Uint8Array): BootStep[] | undefined {
  const count = bytes.length / stepBytes
  if (!Number.isInteger(count) || count < 1 || count > limits.bootChunksMax) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const steps = Array.from({ length: count }, (_, index) => ({
    position: view.getUint32(index * stepBytes),
    ms: view.getUint32(index * stepBytes + 4)
  }))
  return new Set(steps.map(({ position }) => position)).size === count ? steps : undefined
}

/**
 * One order of several: the chunks that at least half of the boots touched, by the median of their
 * place. So one odd machine neither adds a chunk nor moves one far.
 */
export function mergeBoots(boots: readonly (readonly BootStep[])[]): BootStep[] {
  const seen = new Map<number, { places: number[]; times: number[] }>()
  for (const steps of boots) {
    for (const [place, { position, ms }] of steps.entries()) {
      const known = seen.get(position) ?? { places: [], times: [] }
      seen.set(position, known)
      known.places.push(place)
      known.times.push(ms)
    }
  }
  return [...seen]
    .filter(([, { places }]) => places.length * 2 >= boots.length)
    .map(([position, { places, times }]) => ({
      position,
      place: median(places),
      ms: median(times)
    }))
    .sort((a, b) => a.place - b.place || a.ms - b.ms || a.position - b.position)
    .slice(0, limits.bootChunksMax)
    .map(({ position, ms }) => ({ position, ms: Math.round(ms) }))
}

/** A dag-cbor envelope as a release's, under a purpose of its own. */
export function signProfile(key: SigningKey, profile: BootProfile): Uint8Array {
  return signEnvelope(key, kind, encodePayload(profile))
}

/**
 * The profile in signed bytes. ERR_PROFILE_UNTRUSTED unless `labKey` (32 bytes, public) signed it and
 * it is well formed, ERR_FORMAT_VERSION if it speaks another version.
 */
export function openProfile(labKey: Uint8Array, bytes: Uint8Array): BootProfile {
  return openEnvelope(labKey, kind, bytes, decodePayload)
}

function encodePayload({ imageId, reports, steps }: BootProfile): Uint8Array {
  return encode({ image: linkTo(imageId, 'dag-cbor'), reports, order: encodeBootOrder(steps) })
}

function decodePayload(payload: Uint8Array): BootProfile | undefined {
  const fields = decodeObject(payload)
  const imageId = idOfLink(fields?.image, 'dag-cbor')
  if (fields === undefined || imageId === undefined) return undefined
  const { reports, order } = fields
  if (typeof reports !== 'number' || !Number.isSafeInteger(reports) || reports < 1) return undefined
  const steps = order instanceof Uint8Array ? decodeBootOrder(order) : undefined
  return steps && { imageId, reports, steps }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
