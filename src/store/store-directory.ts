import { randomBytes } from 'node:crypto'
import { access, mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  BootswarmError,
  generateSigningKey,
  signingKeyFromSeed,
  systemErrorCode
} from '../base/index.ts'
import type { SigningKey } from '../base/index.ts'
import { fileError, replaceFile } from '../image/index.ts'
import { ChunkIndex } from './chunk-index.ts'
import { databaseError, openDatabase } from './database.ts'
import { checkMarker, encodeMarker, storeFiles } from './format.ts'
import { recoverPacks } from './recovery.ts'
import { readSecretFile, writeSecretFile } from './secrets.ts'
import { withStoreLock } from './store-lock.ts'
import { Store } from './store.ts'
import type { StoreOptions } from './store.ts'

const secretBytes = 32

/**
 * Opens a store, checks its packs and clears away what crashed writers left. ERR_STORE_MISSING,
 * ERR_STORE_INVALID, ERR_FORMAT_VERSION, ERR_STORE_CORRUPT.
 */
export async function openStore(directory: string, options: StoreOptions = {}): Promise<Store> {
  checkMarker(directory, await readMarker(directory))
  const parts = { directory, options, ...(await openKeys(directory)) }
  const indexPath = join(directory, storeFiles.index)
  await access(indexPath).catch(() => {
    throw new BootswarmError(
      'ERR_STORE_CORRUPT',
      `${indexPath} is missing; restore it from a backup`
    )
  })
  const database = openDatabase(indexPath, false)
  try {
    const packs = join(directory, storeFiles.packs)
    await withStoreLock(directory, () => recoverPacks(packs, new ChunkIndex(database)))
    return new Store({ ...parts, database })
  } catch (error) {
    database.close()
    throw databaseError(fileError(error, directory), indexPath)
  }
}

/** As openStore, of a store that is made, with a new lab key, where there is none. */
export async function openOrCreateStore(
  directory: string,
  options: StoreOptions = {}
): Promise<Store> {
  await makeStore(directory)
  return openStore(directory, options)
}

/** If there is none yet. What a crash leaves half made is made whole by the next call. */
async function makeStore(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    if (await hasMarker(directory)) return
    await assertOnlyOurs(directory)
    await withStoreLock(directory, async () => {
      // Another process may have made it while this one waited for the lock.
      if (await hasMarker(directory)) return
      await mkdir(join(directory, storeFiles.packs), { recursive: true, mode: 0o700 })
      openDatabase(join(directory, storeFiles.index), true).close()
      await writeSecretFile(directory, storeFiles.labKey, generateSigningKey().seed)
      await writeSecretFile(directory, storeFiles.enrolSecret, randomBytes(secretBytes))
      // Last: a directory with the marker has everything else.
      await replaceFile(join(directory, storeFiles.marker), Buffer.from(encodeMarker()), 0o600)
    })
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') throw notAStore(directory, 'it is a file')
    throw fileError(error, directory)
  }
}

async function hasMarker(directory: string): Promise<boolean> {
  return (await readdir(directory)).includes(storeFiles.marker)
}

async function assertOnlyOurs(directory: string): Promise<void> {
  const ours = Object.values(storeFiles)
  const foreign = (await readdir(directory)).find(name => !ours.some(own => name.startsWith(own)))
  if (foreign === undefined) return
  throw notAStore(directory, `it holds other files, such as ${foreign}`)
}

async function readMarker(directory: string): Promise<string> {
  try {
    await access(directory)
  } catch {
    throw new BootswarmError(
      'ERR_STORE_MISSING',
      `there is no store at ${directory}; name one with --store, or make one by importing an image`
    )
  }
  try {
    return await readFile(join(directory, storeFiles.marker), 'utf8')
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOTDIR') throw notAStore(directory, 'it is a file')
    if (code === 'ENOENT') throw notAStore(directory, `it has no ${storeFiles.marker}`)
    throw fileError(error, directory)
  }
}

async function openKeys(directory: string): Promise<{ lab: SigningKey; enrolSecret: Uint8Array }> {
  const seed = await readKey(directory, storeFiles.labKey)
  const enrolSecret = await readKey(directory, storeFiles.enrolSecret)
  return { lab: signingKeyFromSeed(seed), enrolSecret }
}

async function readKey(directory: string, name: string): Promise<Uint8Array> {
  const bytes = await readSecretFile(directory, name)
  if (bytes?.length === secretBytes) return bytes
  const fault = bytes === undefined ? 'is missing' : `has ${bytes.length} bytes, not ${secretBytes}`
  throw new BootswarmError(
    'ERR_STORE_CORRUPT',
    `${join(directory, name)} ${fault}; restore it from a backup`
  )
}

function notAStore(directory: string, reason: string): BootswarmError {
  return new BootswarmError('ERR_STORE_INVALID', `${directory} is not a bootswarm store: ${reason}`)
}
