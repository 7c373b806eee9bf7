import { execFile } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import { findProgram } from './find-program.ts'
import { copyRealFiles } from './real-files.ts'

const run = promisify(execFile)

const MiB = 1024 * 1024
const sizeBytesDefault = 768 * MiB

/** The rest of the image stays empty, as on a disk that is meant to be used. */
const shareFilled = 0.46

export interface DemoImageOptions {
  /** The image file; replaced if it is there. */
  readonly path: string
  /** Where files are gathered first; as large as what they fill, emptied again. */
  readonly workDir: string
  /** Size of the image, a multiple of 1 MiB, at least 32 MiB; 768 MiB by default, of which some 350 MB are files. */
  readonly sizeBytes?: number
  readonly signal?: AbortSignal
  /** Bytes of files gathered so far, of about how many. */
  readonly onProgress?: (bytes: number, bytesInAll: number) => void
}

/**
 * Makes an ext4 image out of files of this machine, as a distribution's root would look: no download,
 * no root. Throws ERR_TOOL_MISSING without mke2fs, ERR_DISK_FULL, ERR_DISK_IO, ERR_STOPPED.
 */
export async function buildDemoImage(options: DemoImageOptions): Promise<void> {
  const { path, workDir, sizeBytes = sizeBytesDefault, signal, onProgress } = options
  const mke2fs = await findProgram('mke2fs', 'e2fsprogs')
  const staging = await mkdtemp(join(workDir, 'staging-')).catch(asDiskError(workDir))
  try {
    const bytesMax = Math.floor(sizeBytes * shareFilled)
    await copyRealFiles({ target: staging, bytesMax, signal, onProgress })
    await writeFile(path, '')
    await truncate(path, sizeBytes)
    await run(mke2fs, mke2fsArguments(staging, path), { signal })
  } catch (error) {
    await rm(path, { force: true })
    if (signal?.aborted === true) {
      throw new BootswarmError('ERR_STOPPED', 'stopped while the demo image was being made')
    }
    return asDiskError(path)(error)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

function mke2fsArguments(folder: string, path: string): string[] {
  // Fixed identifiers: two demos on one machine make images that share nearly all chunks.
  const uuid = '5b0075aa-0000-4000-8000-000000000001'
  const extended = `hash_seed=${uuid},lazy_itable_init=1,root_owner=0:0`
  return ['-q', '-F', '-t', 'ext4', '-L', 'demo', '-U', uuid, '-E', extended, '-d', folder, path]
}

function asDiskError(path: string): (error: unknown) => never {
  return error => {
    const isFull = systemErrorCode(error) === 'ENOSPC' || /No space left/.test(String(error))
    const why = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)
    const advice = isFull ? 'free some space or choose another directory' : 'nothing was kept'
    throw new BootswarmError(
      isFull ? 'ERR_DISK_FULL' : 'ERR_DISK_IO',
      `cannot make the demo image ${path}: ${why}; ${advice}`,
      { cause: error }
    )
  }
}
