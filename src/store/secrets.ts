import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import { fileError, syncDirectory } from '../image/index.ts'

const secretBytesMax = 64 * 1024

/** A secret file of a store, or undefined if there is none of that name. */
export async function readSecretFile(
  directory: string,
  name: string
): Promise<Uint8Array | undefined> {
  const path = secretPath(directory, name)
  try {
    const bytes = await readFile(path)
    if (bytes.length > secretBytesMax) {
      throw new BootswarmError('ERR_STORE_CORRUPT', `${path} is too long to be a secret`)
    }
    return new Uint8Array(bytes)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw fileError(error, path)
  }
}

/** Writes a secret file as a whole, mode 0600, durably. */
export async function writeSecretFile(
  directory: string,
  name: string,
  bytes: Uint8Array
): Promise<void> {
  await replaceFile(secretPath(directory, name), bytes)
}

/** The file has either its old content or the new, whenever the machine stops. Mode 0600. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const partialPath = `${path}.partial-${randomBytes(6).toString('hex')}`
  try {
    const handle = await open(partialPath, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(partialPath, path)
    await syncDirectory(join(path, '..'))
  } catch (error) {
    await rm(partialPath, { force: true })
    throw fileError(error, path)
  }
}

function secretPath(directory: string, name: string): string {
  // Names come from the program; this keeps a slip from reaching outside the directory.
  if (/^[a-z][a-z0-9-]*(\.(key|secret))?$/.test(name)) return join(directory, name)
  throw new BootswarmError('ERR_INTERNAL', `${JSON.stringify(name)} is no name of a secret`)
}
