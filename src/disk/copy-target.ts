import { stat } from 'node:fs/promises'
import { BootswarmError } from '../base/index.ts'
import { fileError } from '../image/index.ts'
import { hold, holdsNothing, letGo } from './target-files.ts'

/**
 * Claims a block device that a whole image is about to be copied onto, until what it returns is
 * called: nobody else may have it mounted, or hold it as a target. Undefined where `path` is no
 * device. ERR_TARGET_BUSY; ERR_TARGET_FOREIGN if the device holds data, unless `force`.
 */
export async function claimForCopy(
  path: string,
  force: boolean
): Promise<(() => Promise<void>) | undefined> {
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isBlockDevice() !== true) return undefined
  const device = await hold(path, 0, { soleOwner: true })
  try {
    if (!force && !(await holdsNothing(device, device.size))) {
      throw new BootswarmError(
        'ERR_TARGET_FOREIGN',
        `${path} holds data; nothing was written; --force overwrites it`
      )
    }
  } catch (error) {
    await letGo(device)
    throw fileError(error, path)
  }
  return () => letGo(device)
}
