import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import { fileError, replaceFile } from '../image/index.ts'

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
  await replaceFile(secretPath(directory, name), bytes, 0o600)
}

function secretPath(directory: string, name: string): string {
  // Names come from the program; this keeps a slip from reaching outside the directory.
  if (/^[a-z][a-z0-9-]*(\.(key|secret))?$/.test(name)) return join(directory, name)
  throw new BootswarmError('ERR_INTERNAL', `${JSON.stringify(name)} is no name of a secret`)
}
