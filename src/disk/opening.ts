import { rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { BootswarmError, limits } from '../base/index.ts'
import type { Logger } from '../base/index.ts'
import { fileError, imageCidText, syncDirectory } from '../image/index.ts'
import { regionsOf, pageBytes, wholePages } from './format.ts'
import type { ImageLayout, Superblock, WritesMode } from './format.ts'
import { Metadata, readIdentity } from './metadata.ts'
import { redeploy } from './redeploying.ts'
import type { NewPlace, Relocating, Reuse } from './redeploying.ts'
import { FileStorage, sectionOf } from './storage.ts'
import type { Storage } from './storage.ts'
import { deviceSection, searchDevice, searchFile } from './superblocks.ts'
import type { FoundMetadata, Search } from './superblocks.ts'
import type { DiskParts } from './disk-parts.ts'
import { hold, holdsNothing, kindAt, letGo, look } from './target-files.ts'
import type { HeldFile, HoldOptions } from './target-files.ts'
import { targetMarkOf } from './target-mark.ts'

export interface OpenOptions {
  /** A file, made if absent, or a block device. */
  readonly path: string
  /** Where the metadata goes instead of `PATH.bootswarm`, or of the device's end. */
  readonly metadataPath?: string
  readonly image: ImageLayout
  /** The lab's Ed25519 public key, 32 bytes. */
  readonly labKey: Uint8Array
  /** Overwrite foreign data, another lab's or image's deployment, or metadata that is unusable. */
  readonly force?: boolean
  /** What becomes of the machine's writes: `keep` by default. ERR_TARGET_FOREIGN if it was the other. */
  readonly writes?: WritesMode
  /** Takes over a disk of the same lab that has another image or other writes. Needs `reuse`. */
  readonly redeploy?: boolean
  /** With `force` or `redeploy`: reads the target and uses again whatever the image has. Needs `reuse`. */
  readonly scan?: boolean
  /** Needed for the above, and where `peek` says that the disk is `relocating`. */
  readonly reuse?: Reuse
  readonly logger: Logger
}

/** What a target's metadata pins. */
export interface PeekResult {
  readonly image: ImageLayout
  readonly labKey: Uint8Array
  readonly identity: Uint8Array | undefined
  /** The disk was present and verified once. */
  readonly complete: boolean
  /** Chunks of an earlier image were still being moved: to open it takes `reuse`. */
  readonly relocating: boolean
  /** The machine uses the disk without an agent. */
  readonly handedOver: boolean
  readonly writes: WritesMode
}

export async function openTarget(options: OpenOptions): Promise<DiskParts> {
  const held: HeldFile[] = []
  const release = async (): Promise<void> => {
    for (const file of held.splice(0)) await letGo(file)
  }
  try {
    const opening = new Opening(options, held)
    const parts = await opening.open()
    const overlay = await opening.overlay(parts)
    const unclaim = async (): Promise<void> => {
      for (const file of held) await file.unclaim()
    }
    const [target, side] = held
    // Metadata on the device itself is of no other.
    if (target !== undefined && side !== undefined) {
      parts.metadata.onTarget(() => targetMarkOf(target, parts.metadata.superblock))
    }
    return { ...parts, overlay, unclaim, image: options.image, release }
  } catch (error) {
    await release()
    throw fileError(error, options.path)
  }
}

export async function peekTarget(
  path: string,
  metadataPath: string | undefined
): Promise<PeekResult | undefined> {
  const onDevice = metadataPath === undefined && (await kindAt(path)) === 'device'
  const place = onDevice ? path : (metadataPath ?? sidePath(path))
  const file = await look(place)
  if (file === undefined) return undefined
  try {
    const { storage } = file
    const search = onDevice
      ? await searchDevice(storage, place, undefined)
      : await searchFile(storage, place)
    if (search.kind === 'unusable') throw search.error
    if (search.kind === 'absent') return undefined
    const { superblock, storage: whole } = search.found
    const { image, labKey, complete, relocating, handedOver, writes } = superblock
    const identity = (await readIdentity(whole, superblock))?.identity
    return { image, labKey, complete, relocating, handedOver, writes, identity }
  } finally {
    await file.handle.close()
  }
}

function sidePath(path: string): string {
  return `${path}.bootswarm`
}

type Opened = Omit<DiskParts, 'image' | 'release' | 'overlay' | 'unclaim'>

interface Previous {
  readonly generation: number
  readonly identity: Uint8Array | undefined
}

/** One opening of a target: looks before it writes anything. */
class Opening {
  readonly #options: OpenOptions
  readonly #held: HeldFile[]

  constructor(options: OpenOptions, held: HeldFile[]) {
    this.#options = options
    this.#held = held
  }

  async open(): Promise<Opened> {
    const { path, metadataPath, image } = this.#options
    if (metadataPath !== undefined && resolve(metadataPath) === resolve(path)) {
      throw new BootswarmError('ERR_USAGE', `--metadata ${path} is the target disk itself`)
    }
    const file = await this.#holdTarget()
    // A file of ours grows when another image needs it.
    const mayGrow = file.kind === 'file' && (file.size === 0 || this.#options.redeploy === true)
    if (file.size < image.size && !mayGrow) {
      throw tooSmall(path, file.size, image.size)
    }
    const onDevice = metadataPath === undefined && file.kind === 'device'
    const side = onDevice ? undefined : (metadataPath ?? sidePath(path))
    const search = await this.#search(file, side)
    const found = search.kind === 'found' ? this.#judgePinned(search.found) : undefined
    if (found === undefined || file.size === 0) return this.#begin(file, side, search)
    if (foreignPin(found.superblock, this.#options) !== undefined) {
      return this.#redeploy(file, side, found)
    }
    const superblock =
      side === undefined ? found.superblock : await this.#believed(file, side, found.superblock)
    const metadata = await Metadata.load(found.storage, superblock)
    const { blank, relocating } = found.superblock
    const { reuse } = this.#options
    return {
      target: file.storage,
      metadata,
      blank,
      relocating: relocating && reuse !== undefined ? fromScan(reuse) : undefined
    }
  }

  /**
   * A target that was left otherwise is another one, or others wrote into it: is it complete? Of a file
   * the folder and the name say whose it is; a device that is another one may be somebody's.
   */
  async #believed(file: HeldFile, side: string, superblock: Superblock): Promise<Superblock> {
    const { complete, handedOver, clean, targetMark } = superblock
    if (!complete || handedOver) return superblock
    const mark = targetMark === 0n ? 0n : await targetMarkOf(file, superblock)
    if (mark !== 0n && mark === targetMark) return superblock
    const { path, force, logger } = this.#options
    if (file.kind === 'device' && clean && mark !== 0n && force !== true) {
      throw new BootswarmError(
        'ERR_TARGET_FOREIGN',
        `${path} is not as ${side} says it was left: is that the metadata of another disk? Nothing was written; --force verifies it, and fetches what differs`
      )
    }
    logger.warn(`${path} is not as it was left: all of it is verified again`, { path })
    return { ...superblock, complete: false }
  }

  async #redeploy(file: HeldFile, side: string | undefined, found: FoundMetadata): Promise<Opened> {
    const { image, labKey, writes = 'keep', reuse, scan = false, logger } = this.#options
    if (reuse === undefined) throw new BootswarmError('ERR_INTERNAL', 'redeploy without reuse')
    const target = await this.#extended(file)
    const place: NewPlace =
      side === undefined
        ? { kind: 'device', device: target, path: file.path }
        : this.#besideFile(side)
    const switched = await redeploy({
      ...{ image, labKey, writes, reuse, scan, target, found, place, logger }
    })
    // What the earlier image had beyond the new one is of use until the chunks have been moved.
    const isOurs = file.kind === 'file' && file.size === found.superblock.image.size
    const settle = isOurs ? () => file.handle.truncate(image.size) : undefined
    return { ...switched, target, blank: false, settle }
  }

  /** Empty room for writes that are discarded; undefined where they are kept. */
  async overlay({ target, metadata }: Opened): Promise<Storage | undefined> {
    const { path, metadataPath, image, writes } = this.#options
    if (writes !== 'discard') return undefined
    const { superblock, regions } = metadata
    const size = wholePages(image.size)
    if (metadataPath === undefined && this.#held[0]?.kind === 'device') {
      const start = (superblock.metadataOffset || size) + regions.endOffset
      const room = Math.floor(target.size / pageBytes) * pageBytes - pageBytes - start
      if (room >= Math.min(limits.overlayBytesMin, size)) return sectionOf(target, start, room)
      throw new BootswarmError(
        'ERR_TARGET_TOO_SMALL',
        `${path} has ${Math.max(0, room)} bytes left for writes that are discarded; keep the metadata, and them, in a file with --metadata`
      )
    }
    const file = await this.#hold(`${metadataPath ?? sidePath(path)}.overlay`, 0o600)
    await file.handle.truncate(0)
    await file.handle.truncate(size)
    return new FileStorage(file.handle.fd, file.path, size)
  }

  #besideFile(side: string): NewPlace {
    const path = `${side}.new`
    return {
      kind: 'file',
      make: async size => {
        const held = await this.#hold(path, 0o600)
        await held.handle.truncate(0)
        await held.handle.truncate(size)
        return new FileStorage(held.handle.fd, held.path, size)
      },
      commit: async () => {
        await rename(path, side)
        await syncDirectory(dirname(side))
      }
    }
  }

  /** A disk that the machine has taken over is looked at only, whoever else uses it. */
  async #holdTarget(): Promise<HeldFile> {
    const { path, metadataPath, force, redeploy: redeploys } = this.#options
    const pinned = await peekTarget(path, metadataPath).catch(() => undefined)
    const takes = force === true || redeploys === true
    const readOnly = pinned?.handedOver === true && !takes
    return this.#hold(path, 0o644, { readOnly })
  }

  async #hold(path: string, mode: number, options?: HoldOptions): Promise<HeldFile> {
    const file = await hold(path, mode, options)
    this.#held.push(file)
    return file
  }

  async #search(file: HeldFile, side: string | undefined): Promise<Search> {
    if (side === undefined) {
      return this.#usable(await searchDevice(file.storage, file.path, this.#options.image.size))
    }
    const kind = await kindAt(side)
    if (kind === undefined) return { kind: 'absent', zero: true }
    if (kind === 'device') {
      throw new BootswarmError('ERR_USAGE', `--metadata ${side} is a device; name a file`)
    }
    const { readOnly } = this.#held[0] ?? {}
    const sideFile = await this.#hold(side, 0o600, { readOnly })
    const search = await searchFile(sideFile.storage, side)
    if (search.kind !== 'absent' || search.zero) return this.#usable(search)
    const message = `${side} is no disk metadata; name another file with --metadata, or --force`
    return this.#usable({
      kind: 'unusable',
      error: new BootswarmError('ERR_METADATA_CORRUPT', message)
    })
  }

  #usable(search: Search): Search {
    if (search.kind === 'unusable' && this.#options.force !== true) throw search.error
    return search
  }

  /** Undefined if it is to be overwritten; ERR_TARGET_FOREIGN if it must not be. */
  #judgePinned(found: FoundMetadata): FoundMetadata | undefined {
    const { path, force, redeploy: redeploys } = this.#options
    const foreign = foreignPin(found.superblock, this.#options)
    if (foreign === undefined) return found
    if (redeploys === true && foreign.isOurs) return found
    if (force === true) return undefined
    const way = foreign.isOurs ? '--redeploy switches it' : '--force overwrites it'
    throw new BootswarmError(
      'ERR_TARGET_FOREIGN',
      `${path} ${foreign.text}; nothing was written; ${way}`
    )
  }

  async #begin(file: HeldFile, side: string | undefined, search: Search): Promise<Opened> {
    const { path, image, labKey, force, writes, scan, reuse } = this.#options
    const empty = await holdsNothing(file, image.size)
    if (!empty && force !== true) {
      throw new BootswarmError(
        'ERR_TARGET_FOREIGN',
        `${path} holds data that is not ours; nothing was written; --force overwrites it`
      )
    }
    const previous = await previousOf(search, labKey)
    const room = side === undefined ? this.#deviceRoom(file) : undefined
    const asideBytes = asideBytesFor(image, room)
    const storage =
      side === undefined
        ? deviceSection(file.storage, wholePages(image.size))
        : await this.#makeSideFile(side, asideBytes)
    const target = await this.#extended(file)
    const scans = scan === true && !empty && reuse !== undefined
    const carried = scans ? { snapshot: undefined, relocating: true, formerBytes: 0 } : undefined
    const fresh = { image, labKey, asideBytes, writes, carried, ...previous }
    const metadata = await Metadata.create(storage, fresh)
    // Of a device only a sample was looked at.
    const blank = empty && file.kind === 'file'
    return { target, metadata, blank, relocating: scans ? fromScan(reuse) : undefined }
  }

  async #extended(file: HeldFile): Promise<Storage> {
    const { image } = this.#options
    if (file.size >= image.size) return file.storage
    await file.handle.truncate(image.size)
    await file.handle.sync()
    await syncDirectory(dirname(file.path))
    return new FileStorage(file.handle.fd, file.path, image.size)
  }

  async #makeSideFile(side: string, asideBytes: number): Promise<FileStorage> {
    const { image } = this.#options
    const held = this.#held.find(file => file.path === side) ?? (await this.#hold(side, 0o600))
    const size = totalBytes(image, asideBytes)
    if (held.size !== size) await held.handle.truncate(size)
    await held.handle.sync()
    await syncDirectory(dirname(side))
    return new FileStorage(held.handle.fd, side, size)
  }

  #deviceRoom({ path, size }: HeldFile): number {
    const { image } = this.#options
    const room = Math.floor(size / pageBytes) * pageBytes - wholePages(image.size)
    const missing = totalBytes(image, 0) - room
    if (missing <= 0) return room
    throw new BootswarmError(
      'ERR_TARGET_TOO_SMALL',
      `${path} has ${size} bytes: behind an image of ${image.size} bytes its metadata needs ` +
        `${missing} bytes more; keep it in a file with --metadata`
    )
  }
}

/** In words, why a disk's metadata is not that of this deployment. `isOurs`: but of this lab. */
function foreignPin(
  { image: pinned, labKey: pinnedLab, writes: pinnedWrites }: Superblock,
  { image, labKey, writes = 'keep' }: OpenOptions
): { readonly text: string; readonly isOurs: boolean } | undefined {
  if (!Buffer.from(pinnedLab).equals(labKey)) {
    return { text: 'belongs to another lab', isOurs: false }
  }
  if (pinned.imageId !== image.imageId) {
    return { text: `holds another image, ${imageCidText(pinned.imageId)}`, isOurs: true }
  }
  if (pinned.size !== image.size || pinned.chunkSize !== image.chunkSize) {
    return { text: 'holds this image in another layout', isOurs: true }
  }
  if (pinnedWrites === writes) return undefined
  return { text: `was deployed with --writes ${pinnedWrites}, not ${writes}`, isOurs: true }
}

function fromScan(reuse: Reuse): Relocating {
  return { reuse, moves: undefined, keptBytes: 0 }
}

async function previousOf(search: Search, labKey: Uint8Array): Promise<Previous> {
  if (search.kind !== 'found') return { generation: 0, identity: undefined }
  const { storage, superblock } = search.found
  // Another lab must not get to see this machine's key in the old one.
  const sameLab = Buffer.from(superblock.labKey).equals(labKey)
  const stored = sameLab ? await readIdentity(storage, superblock) : undefined
  return { generation: superblock.generation, identity: stored?.identity }
}

/** As much as the limit allows, the image can fill, and the device has room for. */
function asideBytesFor(image: ImageLayout, room: number | undefined): number {
  const wanted = Math.min(limits.asideBytesMax, wholePages(image.size))
  if (room === undefined) return wanted
  let asideBytes = Math.min(wanted, room - totalBytes(image, 0))
  // The index of what is put aside needs room, too: some bytes a page.
  while (asideBytes > 0 && totalBytes(image, asideBytes) > room) asideBytes -= pageBytes
  return Math.max(0, Math.floor(asideBytes / pageBytes) * pageBytes)
}

function totalBytes(image: ImageLayout, asideBytes: number): number {
  return regionsOf(image, { journalBytes: limits.journalBytes, asideBytes }).totalBytes
}

function tooSmall(path: string, size: number, needed: number): BootswarmError {
  return new BootswarmError(
    'ERR_TARGET_TOO_SMALL',
    `${path} has ${size} bytes, the image needs ${needed}; name a larger disk`
  )
}
