import { dirname, resolve } from 'node:path'
import { BootswarmError, limits } from '../base/index.ts'
import type { Logger } from '../base/index.ts'
import { fileError, imageCidText, syncDirectory } from '../image/index.ts'
import { regionsOf, pageBytes, wholePages } from './format.ts'
import type { ImageLayout, Superblock } from './format.ts'
import { Metadata, readIdentity } from './metadata.ts'
import { FileStorage } from './storage.ts'
import type { Storage } from './storage.ts'
import { deviceSection, searchDevice, searchFile } from './superblocks.ts'
import type { FoundMetadata, Search } from './superblocks.ts'
import type { DiskParts } from './target-disk.ts'
import { hold, holdsNothing, kindAt, look } from './target-files.ts'
import type { HeldFile } from './target-files.ts'

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
  readonly logger: Logger
}

/** What a target's metadata pins. */
export interface PeekResult {
  readonly image: ImageLayout
  readonly labKey: Uint8Array
  readonly identity: Uint8Array | undefined
  /** The disk was present and verified once. */
  readonly complete: boolean
}

export async function openTarget(options: OpenOptions): Promise<DiskParts> {
  const held: HeldFile[] = []
  const release = async (): Promise<void> => {
    for (const file of held.splice(0)) await file.handle.close()
  }
  try {
    const parts = await new Opening(options, held).open()
    return { ...parts, image: options.image, release }
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
    const { image, labKey, complete } = superblock
    const identity = (await readIdentity(whole, superblock))?.identity
    return { image, labKey, complete, identity }
  } finally {
    await file.handle.close()
  }
}

function sidePath(path: string): string {
  return `${path}.bootswarm`
}

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

  async open(): Promise<Pick<DiskParts, 'target' | 'metadata' | 'blank'>> {
    const { path, metadataPath, image } = this.#options
    if (metadataPath !== undefined && resolve(metadataPath) === resolve(path)) {
      throw new BootswarmError('ERR_USAGE', `--metadata ${path} is the target disk itself`)
    }
    const file = await this.#hold(path, 0o644)
    if (file.size < image.size && (file.kind === 'device' || file.size > 0)) {
      throw tooSmall(path, file.size, image.size)
    }
    const onDevice = metadataPath === undefined && file.kind === 'device'
    const side = onDevice ? undefined : (metadataPath ?? sidePath(path))
    const search = await this.#search(file, side)
    const found = search.kind === 'found' ? this.#judgePinned(search.found) : undefined
    if (found !== undefined && file.size > 0) {
      const metadata = await Metadata.load(found.storage, found.superblock)
      return { target: file.storage, metadata, blank: found.superblock.blank }
    }
    return this.#begin(file, side, search)
  }

  async #hold(path: string, mode: number): Promise<HeldFile> {
    const file = await hold(path, mode)
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
    const sideFile = await this.#hold(side, 0o600)
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
    const { image, labKey, path, force } = this.#options
    const foreign = foreignPin(found.superblock, image, labKey)
    if (foreign === undefined) return found
    if (force === true) return undefined
    throw new BootswarmError(
      'ERR_TARGET_FOREIGN',
      `${path} ${foreign}; nothing was written; --force overwrites it`
    )
  }

  async #begin(
    file: HeldFile,
    side: string | undefined,
    search: Search
  ): Promise<Pick<DiskParts, 'target' | 'metadata' | 'blank'>> {
    const { path, image, labKey, force } = this.#options
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
    const metadata = await Metadata.create(storage, { image, labKey, asideBytes, ...previous })
    // Of a device only a sample was looked at.
    return { target, metadata, blank: empty && file.kind === 'file' }
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

/** In words, why a disk's metadata is not that of this deployment. */
function foreignPin(
  { image: pinned, labKey: pinnedLab }: Superblock,
  image: ImageLayout,
  labKey: Uint8Array
): string | undefined {
  if (!Buffer.from(pinnedLab).equals(labKey)) return 'belongs to another lab'
  if (pinned.imageId !== image.imageId)
    return `holds another image, ${imageCidText(pinned.imageId)}`
  if (pinned.size === image.size && pinned.chunkSize === image.chunkSize) return undefined
  return 'holds this image in another layout'
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
