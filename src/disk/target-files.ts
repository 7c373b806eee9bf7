import fs from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootswarmError, limits, nextDataExtent, systemErrorCode, tryLock } from '../base/index.ts'
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

// A process that was just killed, or a child that was just forked, may hold a file for a moment yet.
const holdAttempts = 10
const holdRetryMs = 50

/**
 * Opens a file, made empty with `mode` if there is none, or a block device, and locks it.
 * ERR_TARGET_BUSY if another process goes on holding it.
 */
export async function hold(path: string, mode: number): Promise<HeldFile> {
  const kind = (await kindAt(path)) ?? 'file'
  for (let attempt = 1; attempt <= holdAttempts; attempt++) {
    const file = await tryHold(path, kind, mode)
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
  mode: number
): Promise<HeldFile | undefined> {
  const handle = await openExclusively(path, kind, mode)
  if (handle === undefined) return undefined
  try {
    if (tryLock(handle.fd)) return await heldFile(path, kind, handle)
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

/** Opens what is there for reading only, without a lock; undefined if nothing is. */
export async function look(path: string): Promise<HeldFile | undefined> {
  const kind = await kindAt(path)
  if (kind === undefined) return undefined
  try {
    const handle = await open(path, O_RDONLY)
    const { size } = await geometryOf(handle, path)
    return { path, kind, handle, size, storage: new FileStorage(handle.fd, path, size) }
  } catch (error) {
    throw fileError(error, path)
  }
}

async function heldFile(
  path: string,
  kind: 'file' | 'device',
  handle: FileHandle
): Promise<HeldFile> {
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
  // A device number holds the minor's low 8 bits, 12 bits of major, and the rest of the minor.
  const major = (stats.rdev >> 8n) & 0xfffn
  const minor = (stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xfff00n)
  const about = `/sys/dev/block/${major}:${minor}`
  const sectors = await numberIn(`${about}/size`)
  if (sectors === undefined) {
    throw new BootswarmError('ERR_DISK_IO', `the kernel does not tell the size of ${path}`)
  }
  const sectorBytes =
    (await numberIn(`${about}/queue/logical_block_size`)) ??
    // A partition's queue is its disk's.
    (await numberIn(`${about}/../queue/logical_block_size`)) ??
    pageBytes
  const bytes = sectors * limits.sectorBytes
  return { size: bytes - (bytes % sectorBytes), sectorBytes }
}

async function numberIn(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\d+\n$/.test(text) ? Number(text) : undefined
}

async function openExclusively(
  path: string,
  kind: 'file' | 'device',
  mode: number
): Promise<FileHandle | undefined> {
  try {
    // On a block device O_EXCL means: not while it is mounted or otherwise claimed (open(2)).
    return await open(path, kind === 'device' ? O_RDWR | O_EXCL | O_DIRECT : O_RDWR | O_CREAT, mode)
  } catch (error) {
    if (systemErrorCode(error) === 'EBUSY') return undefined
    throw fileError(error, path)
  }
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
