import { BootswarmError } from '../base/index.ts'

// As much of ELF as it takes to leave out what is not loaded (System V ABI, "Object Files").

const headerBytes = 64
const sectionTableOffset = 40
const sectionCountOffset = 60
const programHeaderBytes = 56

/**
 * A 64-bit little-endian program without what only debuggers and linkers read: its section table, and
 * everything behind the last segment, symbols among it. Not by strip(1), which says different things in
 * different versions and knows only its own architecture. ERR_NETBOOT_INVALID.
 */
export function withoutSymbols(program: Buffer, path: string): Buffer {
  const isElf64 = program.length > headerBytes && program.readUInt32BE(0) === 0x7f454c46
  if (!isElf64 || program[4] !== 2 || program[5] !== 1) throw invalid(path, 'is no 64-bit program')
  const end = endOfSegments(program)
  if (end < headerBytes || end > program.length) throw invalid(path, 'is cut short')
  const stripped = Buffer.from(program.subarray(0, end))
  stripped.writeBigUInt64LE(0n, sectionTableOffset)
  // Count of sections, and which of them holds their names.
  stripped.writeUInt32LE(0, sectionCountOffset)
  return stripped
}

function endOfSegments(program: Buffer): number {
  const table = Number(program.readBigUInt64LE(32))
  const count = program.readUInt16LE(56)
  if (table + count * programHeaderBytes > program.length) return 0
  let end = 0
  for (let index = 0; index < count; index += 1) {
    const entry = table + index * programHeaderBytes
    const offset = Number(program.readBigUInt64LE(entry + 8))
    const size = Number(program.readBigUInt64LE(entry + 32))
    end = Math.max(end, offset + size)
  }
  return end
}

function invalid(path: string, why: string): BootswarmError {
  return new BootswarmError('ERR_NETBOOT_INVALID', `${path} ${why}; install the packages again`)
}
