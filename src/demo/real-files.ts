import { constants } from 'node:fs'
import type { Dirent } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemErrorCode } from '../base/index.ts'

const project = fileURLToPath(new URL('../..', import.meta.url))

/** Folders that any Debian has, then this project's own packages where a machine has hardly any. */
const sources = [
  { folder: '/usr/bin', share: 0.25 },
  { folder: '/usr/lib', share: 0.8 },
  { folder: '/usr/share', share: 1 },
  { folder: join(project, 'node_modules'), share: 1 }
]

/** One compiler or browser should not be all there is in the image. */
const largestShare = 0.1

/** An ext4 of mke2fs's defaults has an inode for every 16 KiB; half of the image may be files. */
const bytesPerEntryMin = 16 * 1024

export interface CopyOptions {
  readonly target: string
  readonly bytesMax: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((bytes: number, bytesInAll: number) => void) | undefined
}

interface Copying extends CopyOptions {
  /** What may be taken from the folder at hand, counted from the start. */
  bytesMaxHere: number
  bytesTaken: number
  entriesTaken: number
  bytesCopied: number
  readonly inFlight: Set<Promise<void>>
}

const copiesAtOnce = 8

/**
 * Copies files of this machine into `target`, under their own paths and in the order of their names,
 * until there are about `bytesMax` bytes of them. Symbolic links stay links; what cannot be read is
 * left out. Resolves to the bytes copied.
 */
export async function copyRealFiles(options: CopyOptions): Promise<number> {
  const start = { bytesMaxHere: 0, bytesTaken: 0, entriesTaken: 0, bytesCopied: 0 }
  const copying: Copying = { ...options, ...start, inFlight: new Set() }
  try {
    for (const { folder, share } of sources) {
      copying.bytesMaxHere = options.bytesMax * share
      await copyFolder(folder, join(options.target, imagePath(folder)), copying)
    }
    await Promise.all(copying.inFlight)
    return copying.bytesCopied
  } finally {
    // Nothing may still be written when the caller removes the target.
    await Promise.allSettled(copying.inFlight)
  }
}

function imagePath(folder: string): string {
  return folder.startsWith(project) ? `/opt/bootswarm/${folder.slice(project.length)}` : folder
}

async function copyFolder(from: string, to: string, copying: Copying): Promise<void> {
  if (isEnough(copying)) return
  await mkdir(to, { recursive: true })
  for (const entry of await list(from)) {
    if (isEnough(copying)) return
    copying.signal?.throwIfAborted()
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    // The target itself may be growing below one of these folders.
    if (copying.target === source || copying.target.startsWith(`${source}/`)) continue
    if (entry.isDirectory()) await copyFolder(source, target, copying)
    else if (entry.isSymbolicLink()) await take(() => copyLink(source, target), 0, copying)
    else if (entry.isFile()) await takeFile(source, target, copying)
  }
}

function isEnough({ bytesTaken, bytesMax, bytesMaxHere, entriesTaken }: Copying): boolean {
  return bytesTaken >= bytesMaxHere || entriesTaken >= bytesMax / bytesPerEntryMin
}

async function list(folder: string): Promise<Dirent[]> {
  const entries = (await unlessUnreadable(readdir(folder, { withFileTypes: true }))) ?? []
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function takeFile(source: string, target: string, copying: Copying): Promise<void> {
  const size = (await unlessUnreadable(lstat(source)))?.size ?? Infinity
  if (size > copying.bytesMax * largestShare) return
  await take(() => copyContents(source, target), size, copying)
}

/** What is taken is decided in order, one entry after the other; the copying runs beside that. */
async function take(copy: () => Promise<void>, size: number, copying: Copying): Promise<void> {
  const { inFlight, bytesMax, onProgress } = copying
  copying.bytesTaken += size
  copying.entriesTaken++
  const copied = unlessUnreadable(copy().then(() => size)).then((bytes = 0) => {
    inFlight.delete(copied)
    copying.bytesCopied += bytes
    onProgress?.(copying.bytesCopied, bytesMax)
  })
  // A failure stays in the set, where the next wait meets it.
  copied.catch(() => {})
  inFlight.add(copied)
  if (inFlight.size >= copiesAtOnce) await Promise.race(inFlight)
}

async function copyLink(source: string, target: string): Promise<void> {
  await symlink(await readlink(source), target)
}

async function copyContents(source: string, target: string): Promise<void> {
  // Shares blocks where the file system can, else copies inside the kernel.
  await copyFile(source, target, constants.COPYFILE_FICLONE)
}

/** Files of a living system come and go, and some are not for everyone. */
async function unlessUnreadable<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    const code = systemErrorCode(error) ?? ''
    if (['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR'].includes(code)) return undefined
    throw error
  }
}
