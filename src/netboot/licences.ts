import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArchiveEntry } from './archive-entry.ts'

const licenceName = /^(licen[cs]e|copying|notice|copyright)([.-].*)?$/i

/**
 * The licence files of packages, as `NAME@VERSION/FILE`. A package that ships none is named with what
 * it says of its licence.
 */
export async function licencesOf(packageFolders: Iterable<string>): Promise<ArchiveEntry[]> {
  const entries = await Promise.all([...packageFolders].map(licencesOfOne))
  // Two copies of one version, in different folders, say the same.
  return [...new Map(entries.flat().map(entry => [entry.path, entry])).values()]
}

async function licencesOfOne(folder: string): Promise<ArchiveEntry[]> {
  const description = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string
    version: string
    license?: string
  }
  const { name, version, license = 'not stated' } = description
  const files = (await readdir(folder)).filter(file => licenceName.test(file))
  const inFolder = (file: string): string => `${name.replace('/', '+')}@${version}/${file}`
  if (files.length === 0) {
    const text = `${name} ${version} ships no licence file; its package.json says: ${license}\n`
    return [{ path: inFolder('LICENCE'), mode: 0o644, bytes: Buffer.from(text) }]
  }
  return Promise.all(
    files.map(async file => ({
      path: inFolder(file),
      mode: 0o644,
      bytes: await readFile(join(folder, file))
    }))
  )
}
