import { foldersOf, type ArchiveEntry } from './archive-entry.ts'

// The "newc" format, of which a Linux initramfs is made (Linux, initramfs buffer format). Several
// archives may follow one another, each compressed or not, if each begins at a multiple of 4.

const magic = '070701'
const headerBytes = 110
const alignment = 4
const kindFolder = 0o040000
const kindFile = 0o100000

/** One archive of these files and the folders that they lie in, all root's and of no time. */
export function cpioOf(entries: readonly ArchiveEntry[]): Buffer {
  const folders = foldersOf(entries.map(entry => entry.path))
  const nothing = new Uint8Array(0)
  const members = [
    ...folders.map(path => member(path, kindFolder | 0o755, nothing)),
    ...entries.map(({ path, mode, bytes }) => member(path, kindFile | mode, bytes)),
    member('TRAILER!!!', 0, nothing)
  ]
  return Buffer.concat(members)
}

/** An initramfs and after it a further archive, whose files take the place of those in the first. */
export function appendArchive(initrd: Uint8Array, archive: Uint8Array): Buffer {
  return Buffer.concat([initrd, Buffer.alloc(padding(initrd.length)), archive])
}

function member(path: string, mode: number, bytes: Uint8Array): Buffer {
  const name = Buffer.from(`${path}\0`)
  const links = (mode & kindFolder) !== 0 ? 2 : 1
  // inode, mode, uid, gid, links, mtime, size, device major and minor, twice, name length, check.
  const fields = [0, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0]
  const header = magic + fields.map(field => field.toString(16).padStart(8, '0')).join('')
  return Buffer.concat([
    Buffer.from(header, 'latin1'),
    name,
    Buffer.alloc(padding(headerBytes + name.length)),
    bytes,
    Buffer.alloc(padding(bytes.length))
  ])
}

function padding(length: number): number {
  return (alignment - (length % alignment)) % alignment
}
