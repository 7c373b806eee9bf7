/** A file as it lies in a tar or cpio archive: its path has no leading slash, and mode only permissions. */
export interface ArchiveEntry {
  readonly path: string
  readonly mode: number
  readonly bytes: Uint8Array
}

/** The folders that the paths lie in, parents first, each once. */
export function foldersOf(paths: Iterable<string>): string[] {
  const folders = new Set<string>()
  for (const path of paths) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth += 1) {
      folders.add(parts.slice(0, depth).join('/'))
    }
  }
  return [...folders].sort()
}
