import { BootswarmError } from '../base/index.ts'
import { foldersOf, type ArchiveEntry } from './archive-entry.ts'

// The ustar format (POSIX.1-2017, pax, "ustar Interchange Format"): as much of it as an archive needs
// that is the same bytes whenever and wherever it is made. Tables: docs/netboot.md.

const blockBytes = 512
const pathBytesMax = 100

/** The entries in the order of their paths, each folder before what is in it; of nobody's time. */
export function tarOf(entries: readonly ArchiveEntry[]): Buffer {
  const folders = foldersOf(entries.map(entry => entry.path))
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
  const pieces: Uint8Array[] = folders.map(path => header(`${path}/`, 0o755, 0, '5'))
  for (const { path, mode, bytes } of sorted) {
    pieces.push(header(path, mode, bytes.length, '0'), bytes, Buffer.alloc(padding(bytes.length)))
  }
  return Buffer.concat([...pieces, Buffer.alloc(2 * blockBytes)])
}

function header(path: string, mode: number, size: number, kind: '0' | '5'): Buffer {
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw new BootswarmError('ERR_INTERNAL', `${path} is too long for a tar archive`)
  }
  const block = Buffer.alloc(blockBytes)
  block.write(path, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  block.write(' '.repeat(8), 148)
  block.write(kind, 156)
  block.write('ustar\0' + '00', 257)
  block.write('root', 265)
  block.write('root', 297)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148)
  return block
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function padding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes
}
