import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { BootswarmError } from '../base/index.ts'

/** On Debian an administrator's programs (mke2fs) are not on an ordinary user's PATH. */
const defaultFolders = (): string[] => [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/sbin'
]

/** The path of a program; throws ERR_TOOL_MISSING with the Debian package to install. */
export async function findProgram(
  name: string,
  debianPackage: string,
  folders: readonly string[] = defaultFolders()
): Promise<string> {
  for (const folder of folders) {
    const path = join(folder, name)
    if (folder !== '' && (await isProgram(path))) return path
  }
  throw new BootswarmError(
    'ERR_TOOL_MISSING',
    `the program ${name} is not installed; install the Debian package ${debianPackage}`
  )
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
