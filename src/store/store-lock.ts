import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootswarmError, tryLock, tryShareLock } from '../base/index.ts'
import { storeFiles } from './format.ts'

const attemptMs = 20
const attemptsMax = 500
/** Of who would have to wait for a whole import. */
const attemptsOfGuest = 50

/**
 * Runs `work` while no other process creates the store, allocates a pack or clears one away. Held for
 * milliseconds; ERR_STORE_BUSY after ten seconds.
 */
export function withStoreLock<Result>(
  directory: string,
  work: () => Promise<Result>
): Promise<Result> {
  return withLock(join(directory, storeFiles.lock), tryLock, work, attemptsMax)
}

/**
 * Runs `work` while no chunk is thrown away, so that what it finds in the store stays there until an
 * image of it is in the catalogue. ERR_STORE_BUSY after ten seconds of another process's throwing away.
 */
export function whileKept<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  return withLock(join(directory, storeFiles.keepLock), tryShareLock, work, attemptsMax)
}

/** Runs `work` while nobody is in `whileKept`; ERR_STORE_BUSY when somebody is for over a second. */
export function whileNobodyAdds<Result>(
  directory: string,
  work: () => Promise<Result>
): Promise<Result> {
  return withLock(join(directory, storeFiles.keepLock), tryLock, work, attemptsOfGuest)
}

async function withLock<Result>(
  path: string,
  take: (fd: number) => boolean,
  work: () => Promise<Result>,
  attempts: number
): Promise<Result> {
  const handle = await open(path, 'a', 0o600)
  try {
    await waitForLock(handle, path, take, attempts)
    return await work()
  } finally {
    await handle.close()
  }
}

async function waitForLock(
  handle: FileHandle,
  path: string,
  take: (fd: number) => boolean,
  attempts: number
): Promise<void> {
  for (let attempt = 1; !take(handle.fd); attempt++) {
    if (attempt >= attempts) {
      throw new BootswarmError('ERR_STORE_BUSY', `another process keeps ${path} locked`)
    }
    await sleep(attemptMs)
  }
}
