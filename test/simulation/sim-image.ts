import { readFile } from 'node:fs/promises'
import { seededRandom } from '../../src/base/index.ts'

/** An image as the network sees it: items of so many bytes, and the reads of a boot. */
export interface SimImage {
  readonly itemCount: number
  /** Frame bytes, by item. */
  readonly frameBytes: Int32Array
  /** Items that a boot touches. */
  readonly bootSet: ReadonlySet<number>
  readonly reads: readonly SimRead[]
}

export interface SimRead {
  /** Between the reply to the read before and this one. */
  readonly thinkMs: number
  readonly items: readonly number[]
}

/** The chunks of an image that are not zero: where, how many bytes their frames have, and which. */
export interface ChunkList {
  /** The CID of the image, when it is a real one. */
  readonly image?: string
  readonly chunkBytes: number
  /** The same chunk at two positions is one item; without ids every position is one. */
  readonly chunks: readonly (readonly [position: number, frameBytes: number, id?: string])[]
}

export interface Trace {
  /** The CID of the image that was booted, if that is known. */
  readonly image?: string
  readonly reads: readonly TraceRead[]
}

export type TraceRead = readonly [seconds: number, offset: number, bytes: number]

const thinkShare = 0.15
const gapMsMax = 1_000

/** What research/swarm-simulation.md drew: 2,998 chunks of 150.1 MB, 432 of them (21.4 MB) booted. */
const drawn = { chunkBytes: 128 * 1024, chunks: 2_998, bytes: 150.1e6, bootBytes: 21.4e6 }

/** A list of reads, or what bench/lab keeps. */
export async function readTrace(path: string): Promise<Trace> {
  const read = JSON.parse(await readFile(path, 'utf8')) as Trace | TraceRead[]
  return Array.isArray(read) ? { reads: read } : read
}

/**
 * Puts a recorded boot on an image; chunks that the image does not list are zero and cost nothing.
 * Throws when the boot was another image's.
 */
export function simImage(list: ChunkList, trace: Trace): SimImage {
  if (list.image !== undefined && trace.image !== undefined && list.image !== trace.image) {
    throw new Error(`the trace is of ${trace.image}, the chunks are of ${list.image}`)
  }
  const { itemOf, frameBytes } = itemsOf(list)
  const bootSet = new Set<number>()
  let before = trace.reads[0]?.[0] ?? 0
  const reads = trace.reads.map(([seconds, offset, bytes]) => {
    const thinkMs = thinkShare * Math.min(gapMsMax, (seconds - before) * 1_000)
    before = seconds
    const items = new Set<number>()
    for (const position of positionsOf(offset, bytes, list.chunkBytes)) {
      const item = itemOf.get(position)
      if (item !== undefined) items.add(item)
    }
    for (const item of items) bootSet.add(item)
    return { thinkMs, items: [...items] }
  })
  return { itemCount: frameBytes.length, frameBytes: Int32Array.from(frameBytes), bootSet, reads }
}

function itemsOf({ chunks }: ChunkList): { itemOf: Map<number, number>; frameBytes: number[] } {
  const itemOf = new Map<number, number>()
  const byId = new Map<string, number>()
  const frameBytes: number[] = []
  for (const [position, bytes, id = `at ${position}`] of chunks) {
    const item = byId.get(id) ?? frameBytes.length
    if (item === frameBytes.length) frameBytes.push(bytes)
    byId.set(id, item)
    itemOf.set(position, item)
  }
  return { itemOf, frameBytes }
}

/** As large as a Debian 12 image, every chunk that the trace touches among its chunks. */
export function drawImage({ reads }: Trace, seed: number): ChunkList {
  const random = seededRandom(seed)
  const boot = new Set<number>()
  for (const [, offset, bytes] of reads) {
    for (const position of positionsOf(offset, bytes, drawn.chunkBytes)) boot.add(position)
  }
  const all = new Set(boot)
  while (all.size < drawn.chunks) all.add(Math.floor(random.next() * 32_768))
  const sizes = new Map([...all].map(position => [position, 0.15 + random.next() * 0.85]))
  scale(sizes, [...boot], drawn.bootBytes)
  scale(
    sizes,
    [...all].filter(position => !boot.has(position)),
    drawn.bytes - drawn.bootBytes
  )
  const chunks = [...sizes].sort(([a], [b]) => a - b)
  return {
    chunkBytes: drawn.chunkBytes,
    chunks: chunks.map(([at, size]) => [at, Math.round(size)])
  }
}

/** A small image and boot for tests: every fourth chunk is read, in the order of its position. */
export function smallImage(items: number, frameBytes: number, thinkMs: number): SimImage {
  const boot = Array.from({ length: Math.floor(items / 4) }, (_, index) => index * 4)
  return {
    itemCount: items,
    frameBytes: new Int32Array(items).fill(frameBytes),
    bootSet: new Set(boot),
    reads: boot.map(item => ({ thinkMs, items: [item] }))
  }
}

export function bytesOf(image: SimImage, items: Iterable<number>): number {
  let bytes = 0
  for (const item of items) bytes += image.frameBytes[item] ?? 0
  return bytes
}

function positionsOf(offset: number, bytes: number, chunkBytes: number): number[] {
  const first = Math.floor(offset / chunkBytes)
  const last = Math.floor((offset + bytes - 1) / chunkBytes)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

function scale(sizes: Map<number, number>, positions: readonly number[], bytes: number): void {
  const sum = positions.reduce((total, position) => total + (sizes.get(position) ?? 0), 0)
  for (const position of positions) {
    sizes.set(position, ((sizes.get(position) ?? 0) / sum) * bytes)
  }
}
