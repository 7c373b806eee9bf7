import fs from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BootswarmError,
  deviceNumber,
  limits,
  lockSoon,
  nextDataExtent,
  numberIn,
  sizeOf,
  systemErrorCode
} from '../base/index.ts'
import { fileError, isZero } from '../image/index.ts'
import { DeviceStorage } from './device-storage.ts'
import { pageBytes } from './pages.ts'
import { FileStorage } from './storage.ts'
import type { Storage } from './storage.ts'

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_DIRECT } = fs.constants

/** A target or side file, open and locked. */
export interface HeldFile {
  readonly path: string
  readonly kind: 'file' | 'device'
  readonly handle: FileHandle
  readonly size: number
  readonly storage: Storage
  readonly readOnly?: boolean
  /** Gives up the sole right to a device; it stays open and locked. May be repeated. */
  unclaim(): Promise<void>
}

/** What lies at a path: undefined if nothing does; ERR_USAGE if neither a file nor a block device. */
export async function kindAt(path: string): Promise<'file' | 'device' | undefined> {
  try {
    const stats = await stat(path)
    if (stats.isFile()) return 'file'
    if (stats.isBlockDevice()) return 'device'
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw fileError(error, path)
  }
  throw new BootswarmError('ERR_USAGE', `${path} is neither a file nor a block device`)
}

export interface HoldOptions {
  /** Neither claims a device nor makes a file. */
  readonly readOnly?: boolean
  /** Not even beside a machine of ours that uses the device through device-mapper. */
  readonly soleOwner?: boolean
}

/** What the uuid of a device-mapper device begins with that a boot environment of ours made. */
export const mapperUuidPrefix = 'BOOTSWARM-'

// A process that was just killed, or a child that was just forked, may hold a file for a moment yet.
const holdAttempts = 10
const holdRetryMs = 50

/**
 * Opens a file, made empty with `mode` if there is none, or a block device, and locks it.
 * ERR_TARGET_BUSY if another process goes on holding it. A device is claimed by a descriptor of its
 * own, so that the claim can be given up while the lock, by which udev knows not to look, is kept.
 */
export async function hold(
  path: string,
  mode: number,
  options: HoldOptions = {}
): Promise<HeldFile> {
  const kind = (await kindAt(path)) ?? 'file'
  for (let attempt = 1; attempt <= holdAttempts; attempt++) {
    const file = await tryHold(path, kind, mode, options)
    if (file !== undefined) return file
    await sleep(holdRetryMs)
  }
  throw new BootswarmError(
    'ERR_TARGET_BUSY',
    `${path} is in use: another agent holds it, or it is mounted; stop that first`
  )
}

async function tryHold(
  path: string,
  kind: 'file' | 'device',
  mode: number,
  { readOnly = false, soleOwner = false }: HoldOptions
): Promise<HeldFile | undefined> {
  const claim = kind === 'device' && !readOnly ? await claimDevice(path, soleOwner) : undefined
  if (claim === 'taken') return undefined
  const held = await openLocked(path, kind, mode, readOnly).catch(async (error: unknown) => {
    await claim?.close()
    throw error
  })
  let claimed = claim
  const unclaim = async (): Promise<void> => {
    const handle = claimed
    claimed = undefined
    await handle?.close()
  }
  if (held !== undefined) return { ...held, readOnly, unclaim }
  await unclaim()
  return undefined
}

export async function letGo(file: HeldFile): Promise<void> {
  await file.unclaim()
  await file.handle.close()
}

async function openLocked(path: string, kind: 'file' | 'device', mode: number, readOnly: boolean) {
  const handle = await openFor(path, kind, mode, readOnly)
  try {
    if (await lockSoon(handle.fd)) return await heldFile(path, kind, handle)
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

async function openFor(
  path: string,
  kind: 'file' | 'device',
  mode: number,
  readOnly: boolean
): Promise<FileHandle> {
  try {
    const direct = kind === 'device' ? O_DIRECT : 0
    if (readOnly) return await open(path, O_RDONLY | direct)
    return await open(path, O_RDWR | (direct === 0 ? O_CREAT : direct), mode)
  } catch (error) {
    throw fileError(error, path)
  }
}

/**
 * On a block device O_EXCL means: not while it is mounted or otherwise claimed (open(2)). A
 * device-mapper table of ours may hold it, half-way through a hand-over: then there is no claim to
 * have, and none to be afraid of.
 */
async function claimDevice(
  path: string,
  soleOwner: boolean
): Promise<FileHandle | 'taken' | undefined> {
  try {
    return await open(path, O_RDONLY | O_EXCL)
  } catch (error) {
    if (systemErrorCode(error) !== 'EBUSY') throw fileError(error, path)
    return !soleOwner && (await isHeldByUs(path)) ? undefined : 'taken'
  }
}

/** Whether nobody holds the device but device-mapper devices whose uuid says that they are ours. */
async function isHeldByUs(path: string): Promise<boolean> {
  const holders = `/sys/dev/block/${deviceNumber((await stat(path, { bigint: true })).rdev)}/holders`
  const names = await readdir(holders).catch(() => [])
  const ours = names.map(async name => {
    const uuid = await readFile(`${holders}/${name}/dm/uuid`, 'utf8').catch(() => '')
    return uuid.startsWith(mapperUuidPrefix)
  })
  return names.length > 0 && (await Promise.all(ours)).every(isOurs => isOurs)
}

/** Opens what is there for reading only, without a lock; undefined if nothing is. */
export async function look(path: string): Promise<HeldFile | undefined> {
  const kind = await kindAt(path)
  if (kind === undefined) return undefined
  try {
    const handle = await open(path, O_RDONLY)
    const { size } = await geometryOf(handle, path)
    return {
      path,
      kind,
      handle,
      size,
      storage: new FileStorage(handle.fd, path, size),
      unclaim: nothing
    }
  } catch (error) {
    throw fileError(error, path)
  }
}

function nothing(): Promise<void> {
  return Promise.resolve()
}

async function heldFile(
  path: string,
  kind: 'file' | 'device',
  handle: FileHandle
): Promise<Omit<HeldFile, 'unclaim'>> {
  const { size, sectorBytes } = await geometryOf(handle, path)
  const storage =
    kind === 'device'
      ? new DeviceStorage(handle.fd, path, size, sectorBytes)
      : new FileStorage(handle.fd, path, size)
  return { path, kind, handle, size, storage }
}

async function geometryOf(
  handle: FileHandle,
  path: string
): Promise<{ size: number; sectorBytes: number }> {
  const stats = await handle.stat({ bigint: true })
  if (!stats.isBlockDevice()) return { size: Number(stats.size), sectorBytes: limits.sectorBytes }
  const bytes = await sizeOf(stats)
  if (bytes === undefined) {
    throw new BootswarmError('ERR_DISK_IO', `the kernel does not tell the size of ${path}`)
  }
  const about = `/sys/dev/block/${deviceNumber(stats.rdev)}`
  const sectorBytes =
    (await numberIn(`${about}/queue/logical_block_size`)) ??
    // A partition's queue is its disk's.
    (await numberIn(`${about}/../queue/logical_block_size`)) ??
    pageBytes
  return { size: bytes - (bytes % sectorBytes), sectorBytes }
}

const probeBytes = 1024 * 1024
const spreadBlocks = 256
const spreadBlockBytes = 4096

/**
 * Whether nothing is lost when the first `length` bytes are overwritten. Of a file every byte that is
 * not a hole is looked at; of a device the first and the last MiB of the whole of it, and blocks in
 * between, since reading it all would take as long as deploying it.
 */
export async function holdsNothing(file: HeldFile, length: number): Promise<boolean> {
  try {
    if (file.kind === 'file') return await isFileZero(file, length)
    return await isDeviceZero(file)
  } catch (error) {
    throw fileError(error, file.path)
  }
}

async function isFileZero({ handle, storage, size }: HeldFile, length: number): Promise<boolean> {
  const end = Math.min(size, length)
  for (let offset = 0; ;) {
    const extent = nextDataExtent(handle.fd, offset, end)
    if (extent === undefined) return true
    const piece = Math.min(extent.length, probeBytes)
    if (!(await isRangeZero(storage, extent.offset, piece))) return false
    offset = extent.offset + piece
  }
}

async function isDeviceZero({ storage, size }: HeldFile): Promise<boolean> {
  const edge = Math.min(probeBytes, size)
  if (!(await isRangeZero(storage, 0, edge))) return false
  if (!(await isRangeZero(storage, size - edge, edge))) return false
  const blocks = Math.floor(size / spreadBlockBytes)
  for (let index = 0; index < spreadBlocks; index++) {
    const block = Math.floor((index * blocks) / spreadBlocks)
    if (!(await isRangeZero(storage, block * spreadBlockBytes, spreadBlockBytes))) return false
  }
  return true
}

async function isRangeZero(storage: Storage, offset: number, length: number): Promise<boolean> {
  return isZero(await storage.read(offset, length))
}
