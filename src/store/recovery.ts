import { open, readdir, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError, systemErrorCode, tryLock } from '../base/index.ts'
import type { ChunkIndex } from './chunk-index.ts'
import { packFileName, packHeaderBytes, packHeaderFault, packNumberOf } from './format.ts'

/**
 * Checks every pack against the index (ERR_STORE_CORRUPT, naming the pack) and clears away what a
 * crashed writer left: bytes that no index row speaks of. A pack that a live process writes to is
 * left alone. The caller holds the store's lock.
 */
export async function recoverPacks(directory: string, index: ChunkIndex): Promise<void> {
  const packs = new Set(index.packs())
  for (const pack of packs) await recoverPack(directory, pack, index)
  for (const fileName of await readdir(directory)) {
    const pack = packNumberOf(fileName)
    if (pack !== undefined && !packs.has(pack)) await removeUnlessLive(join(directory, fileName))
  }
}

async function recoverPack(directory: string, pack: number, index: ChunkIndex): Promise<void> {
  const path = join(directory, packFileName(pack))
  const handle = await openPack(path)
  try {
    if (handle !== undefined && !tryLock(handle.fd)) return
    // Asked only now: until its lock was free, a live writer could still add records.
    const length = index.packLength(pack)
    if (length <= packHeaderBytes) {
      index.removePack(pack)
      await rm(path, { force: true })
      return
    }
    if (handle === undefined) throw corrupt(path, 'is missing')
    await checkPack(handle, path, pack, length)
  } finally {
    await handle?.close()
  }
}

async function checkPack(
  handle: FileHandle,
  path: string,
  pack: number,
  length: number
): Promise<void> {
  const { size } = await handle.stat()
  if (size < length) {
    throw corrupt(path, `is cut short: it has ${size} bytes, the index wants ${length}`)
  }
  const header = Buffer.alloc(packHeaderBytes)
  await handle.read(header, 0, packHeaderBytes, 0)
  const fault = packHeaderFault(header, pack)
  if (fault !== undefined) throw corrupt(path, fault)
  if (size > length) await handle.truncate(length)
}

async function removeUnlessLive(path: string): Promise<void> {
  const handle = await openPack(path)
  if (handle === undefined) return
  try {
    if (tryLock(handle.fd)) await rm(path, { force: true })
  } finally {
    await handle.close()
  }
}

async function openPack(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function corrupt(path: string, fault: string): BootswarmError {
  return new BootswarmError(
    'ERR_STORE_CORRUPT',
    `${path} ${fault}; restore it from a backup, or import into a new store`
  )
}
