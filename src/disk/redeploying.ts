import { BootswarmError, limits } from '../base/index.ts'
import type { ChunkId, Logger } from '../base/index.ts'
import { AsideArea } from './aside.ts'
import { ChunkStates } from './chunk-states.ts'
import { pageBytes, regionsOf, wholePages } from './format.ts'
import type {
  AsideEntry,
  ImageLayout,
  Regions,
  Snapshot,
  Superblock,
  WritesMode
} from './format.ts'
import { Metadata } from './metadata.ts'
import type { Carried } from './metadata.ts'
import { recover } from './recovery.ts'
import { planReuse } from './reuse-plan.ts'
import type { Move } from './reuse-plan.ts'
import type { ScanProgress } from './scan.ts'
import { sectionOf } from './storage.ts'
import type { Storage } from './storage.ts'
import type { FoundMetadata } from './superblocks.ts'
import type { ChunkNames } from './verification.ts'

/** Where manifest blocks are kept; slot 0 is the root, slot n + 1 page n. */
export interface ManifestBlocks {
  manifestBlock(slot: number): Promise<Uint8Array | undefined>
}

/** What it takes to use again what the target holds. */
export interface Reuse {
  /** Of the image that is wanted, with all its pages. */
  readonly names: ChunkNames
  /** What the kept manifest of an earlier image names; undefined if it is not there whole. */
  formerNames(blocks: ManifestBlocks, imageId: ChunkId): Promise<ChunkNames | undefined>
  readonly onScan?: (progress: ScanProgress) => void
}

/** What a disk still has to do before it can be used. */
export interface Relocating {
  readonly reuse: Reuse
  /** Undefined: what can be moved has to be found by reading the target. */
  readonly moves: readonly Move[] | undefined
  /** Plain bytes that lie where they have to be already. */
  readonly keptBytes: number
}

/** A new deployment in place of an earlier one of the same lab. */
export interface Redeployment {
  readonly image: ImageLayout
  readonly labKey: Uint8Array
  readonly writes: WritesMode
  readonly reuse: Reuse
  /** Hash all of the target instead of believing the earlier metadata. */
  readonly scan: boolean
  readonly target: Storage
  readonly found: FoundMetadata
  /** Where the new metadata goes if it does not fit the place of the earlier one. */
  readonly place: NewPlace
  readonly logger: Logger
}

export type NewPlace =
  | {
      readonly kind: 'file'
      /** A new file beside the earlier metadata. */
      readonly make: (size: number) => Promise<Storage>
      /** Puts it in the place of the earlier one, at one instant; durable when it resolves. */
      readonly commit: () => Promise<void>
    }
  | { readonly kind: 'device'; readonly device: Storage; readonly path: string }

/**
 * Switches a target to another image, at one instant: before it the earlier deployment is untouched,
 * after it all that is known of the target for the new image is durable. The chunks that have to be
 * moved still are where they were (relocation.ts).
 */
export async function redeploy(
  options: Redeployment
): Promise<{ metadata: Metadata; relocating: Relocating }> {
  const { image, writes, found, reuse } = options
  const former = found.superblock
  const layout = layoutOf(options)
  const { carried, moves, keptBytes } = await plan(options, layout.usableBytes)
  const metadata =
    layout.kind === 'same'
      ? await Metadata.replace(found.storage, former, { image, writes, carried })
      : await moveMetadata(options, layout, carried)
  return { metadata, relocating: { reuse, moves, keptBytes } }
}

interface Plan {
  readonly carried: Carried & { readonly snapshot: Snapshot }
  readonly moves: readonly Move[] | undefined
  readonly keptBytes: number
}

async function plan(options: Redeployment, usableBytes: number): Promise<Plan> {
  const { image, target, found, reuse, scan, logger } = options
  const former = found.superblock
  const metadata = await Metadata.load(found.storage, former)
  const names = await reuse.formerNames(metadata, former.image.imageId)
  const isAlike = names !== undefined && former.image.chunkSize === image.chunkSize
  // Whoever uses the disk without us tells nobody what he writes.
  const believed = isAlike && !scan && !former.handedOver && !former.relocating
  const recorded = isAlike
    ? await recover(await metadata.readRecorded(), target, former.image)
    : nothingRecorded
  const crashed = former.crashed || !former.clean
  const aside = new AsideArea(metadata, logger)
  const states = new ChunkStates(isAlike ? former.image : image, recorded, aside, {
    blank: false,
    crashed
  })
  const { snapshot, moves, keptBytes } = planReuse(
    { states, names: names ?? nothingNamed, believed, usableBytes },
    image,
    reuse.names
  )
  const formerBytes = Math.min(former.image.size, usableBytes)
  const relocating = !believed || moves.length > 0
  const carried = { snapshot, relocating, formerBytes: relocating ? formerBytes : 0 }
  return { carried, moves: believed ? moves : undefined, keptBytes }
}

const nothingRecorded = { snapshot: undefined, records: [] }
const nothingNamed: ChunkNames = { chunkIdAt: () => undefined }

type Layout =
  | { readonly kind: 'same' | 'file'; readonly usableBytes: number }
  | { readonly kind: 'device'; readonly start: number; readonly usableBytes: number }

/** Where the new metadata goes: never over the earlier one, but in its place if both are alike. */
function layoutOf({ image, found, place }: Redeployment): Layout {
  const former = found.superblock
  if (former.image.size === image.size && former.image.chunkSize === image.chunkSize) {
    return { kind: 'same', usableBytes: Infinity }
  }
  if (place.kind === 'file') return { kind: 'file', usableBytes: Infinity }
  const { device, path } = place
  const last = wholePages(device.size - pageBytes + 1) - pageBytes
  const formerStart = former.metadataOffset || wholePages(former.image.size)
  const formerEnd = formerStart + regionsOf(former.image, former).endOffset
  const { endOffset } = regionsOf(image, sizesOf(image, found.superblock))
  const behindImage = wholePages(image.size)
  const behindBoth = Math.max(behindImage, formerEnd)
  if (behindBoth + endOffset <= last) {
    return { kind: 'device', start: behindBoth, usableBytes: formerStart }
  }
  if (behindImage + endOffset <= formerStart) {
    return { kind: 'device', start: behindImage, usableBytes: behindImage }
  }
  throw new BootswarmError(
    'ERR_TARGET_TOO_SMALL',
    `${path} has no room for the metadata of both images while it is switched: it needs ` +
      `${behindBoth + endOffset - last} bytes more; --force --scan starts over and uses again what it finds`
  )
}

async function moveMetadata(
  options: Redeployment,
  layout: Layout,
  carried: Plan['carried']
): Promise<Metadata> {
  const { image, labKey, writes, found, place } = options
  const former = await Metadata.load(found.storage, found.superblock)
  const sizes = sizesOf(image, found.superblock)
  const regions = regionsOf(image, sizes)
  const packed = packAsides(carried.snapshot.asides, sizes.asideBytes)
  const metadataOffset =
    layout.kind === 'device' && layout.start !== wholePages(image.size) ? layout.start : 0
  const storage = await newStorage(options, layout, regions)
  const copyFrames = async (): Promise<void> => {
    for (const { entry, page } of packed) {
      const bytes = await former.readAside(entry.page * pageBytes, entry.length)
      await storage.write(regions.asideOffset + page * pageBytes, bytes)
    }
  }
  await copyFrames()
  const asides = packed.map(({ entry, page }) => ({ ...entry, page }))
  const metadata = await Metadata.create(storage, {
    image,
    labKey,
    writes,
    ...sizes,
    generation: found.superblock.generation,
    identity: former.identity,
    metadataOffset,
    carried: { ...carried, snapshot: { ...carried.snapshot, asides } }
  })
  if (place.kind === 'file') {
    await place.commit()
  } else {
    // Or it would be found in place of the new one, should the device's last page ever be damaged.
    await found.storage.write(0, Buffer.alloc(pageBytes))
    await found.storage.sync()
  }
  return metadata
}

async function newStorage(
  { place }: Redeployment,
  layout: Layout,
  regions: Regions
): Promise<Storage> {
  if (place.kind === 'file') return place.make(regions.totalBytes)
  const start = layout.kind === 'device' ? layout.start : 0
  const end = Math.floor(place.device.size / pageBytes) * pageBytes
  return sectionOf(place.device, start, end - start)
}

/** The frames that fit, one behind the other from the area's start. */
function packAsides(
  entries: readonly AsideEntry[],
  asideBytes: number
): { entry: AsideEntry; page: number }[] {
  const packed: { entry: AsideEntry; page: number }[] = []
  let page = 0
  for (const entry of entries) {
    const pages = wholePages(entry.length) / pageBytes
    if ((page + pages) * pageBytes > asideBytes) continue
    packed.push({ entry, page })
    page += pages
  }
  return packed
}

function sizesOf(image: ImageLayout, { journalBytes }: Superblock) {
  return { asideBytes: Math.min(limits.asideBytesMax, wholePages(image.size)), journalBytes }
}
