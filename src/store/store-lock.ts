import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootswarmError, tryLock } from '../base/index.ts'
import { storeFiles } from './format.ts'

const attemptMs = 20
const attemptsMax = 500

/**
 * Runs `work` while no other process creates the store, allocates a pack or clears one away. Held for
 * milliseconds; ERR_STORE_BUSY after ten seconds.
 */
export async function withStoreLock<Result>(
  directory: string,
  work: () => Promise<Result>
): Promise<Result> {
  const handle = await open(join(directory, storeFiles.lock), 'a', 0o600)
  try {
    await waitForLock(handle, directory)
    return await work()
  } finally {
    await handle.close()
  }
}

async function waitForLock(handle: FileHandle, directory: string): Promise<void> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (tryLock(handle.fd)) return
    await sleep(attemptMs)
  }
  throw new BootswarmError(
    'ERR_STORE_BUSY',
    `another process keeps ${join(directory, storeFiles.lock)} locked`
  )
}
