import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { BootswarmError, lockSoon, tryLock, tryShareLock } from '../base/index.ts'
import { storeFiles } from './format.ts'

const retryMs = 20
const triesOfMost = 500
/** Of who would have to wait for a whole import. */
const triesOfGuest = 50

/**
 * Runs `work` while no other process creates the store, allocates a pack or clears one away. Held for
 * milliseconds; ERR_STORE_BUSY after ten seconds.
 */
export function withStoreLock<Result>(
  directory: string,
  work: () => Promise<Result>
): Promise<Result> {
  return withLock(join(directory, storeFiles.lock), tryLock, work)
}

/**
 * Runs `work` while no chunk is thrown away, so that what it finds in the store stays there until an
 * image of it is in the catalogue. ERR_STORE_BUSY after ten seconds of another process's throwing away.
 */
export function whileKept<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  return withLock(join(directory, storeFiles.keepLock), tryShareLock, work)
}

/** Runs `work` while nobody is in `whileKept`; ERR_STORE_BUSY when somebody is for over a second. */
export function whileNobodyAdds<Result>(
  directory: string,
  work: () => Promise<Result>
): Promise<Result> {
  const path = join(directory, storeFiles.keepLock)
  return withLock(path, tryLock, work, triesOfGuest, 'an import, or another gc,')
}

async function withLock<Result>(
  path: string,
  take: (fd: number) => boolean,
  work: () => Promise<Result>,
  triesMax: number = triesOfMost,
  holder = 'another process'
): Promise<Result> {
  const handle = await open(path, 'a', 0o600)
  try {
    if (!(await lockSoon(handle.fd, { take, triesMax, retryMs }))) {
      throw new BootswarmError(
        'ERR_STORE_BUSY',
        `${holder} keeps ${path} locked; try again when it is done`
      )
    }
    return await work()
  } finally {
    await handle.close()
  }
}
