import { open, readFile } from 'node:fs/promises'

// The format of Linux's dm-log-writes, which QEMU's blklogwrites driver writes: a superblock of one
// sector, then for each write a header padded to one sector and the data. Little-endian.
const magic = 0x6a736677736872n
const superblockBytes = 28
const headerBytes = 32
const discardFlag = 4n

export interface LoggedWrite {
  /** Byte offset on the disk. */
  offset: number
  data: Buffer
}

/** What a guest wrote, in the order in which QEMU passed it on. Flushes are left out. */
export async function readWriteLog(path: string): Promise<LoggedWrite[]> {
  const log = await readFile(path)
  if (log.length < superblockBytes || log.readBigUInt64LE(0) !== magic) {
    throw new Error(`${path} is not a log of writes`)
  }
  const entries = log.readBigUInt64LE(16)
  const sectorBytes = log.readUInt32LE(24)

  const writes: LoggedWrite[] = []
  let at = sectorBytes
  for (let entry = 0n; entry < entries; entry++) {
    if (at + headerBytes > log.length) throw new Error(`${path} ends before entry ${entry}`)
    const offset = Number(log.readBigUInt64LE(at)) * sectorBytes
    const length = Number(log.readBigUInt64LE(at + 8)) * sectorBytes
    if ((log.readBigUInt64LE(at + 16) & discardFlag) !== 0n) {
      throw new Error(`${path} has a discard, which the guest's disk does not offer`)
    }
    at += sectorBytes
    if (at + length > log.length) throw new Error(`${path} ends within entry ${entry}`)
    if (length > 0) writes.push({ offset, data: log.subarray(at, at + length) })
    at += length
  }
  return writes
}

/** Does the same writes to a disk of one's own. */
export async function replayWrites(writes: LoggedWrite[], disk: string): Promise<void> {
  await using file = await open(disk, 'r+')
  for (const { offset, data } of writes) await file.write(data, 0, data.length, offset)
}

/** How many blocks were written at least once. */
export function countBlocks(writes: LoggedWrite[], blockBytes: number): number {
  const blocks = new Set<number>()
  for (const { offset, data } of writes) {
    const last = Math.floor((offset + data.length - 1) / blockBytes)
    for (let block = Math.floor(offset / blockBytes); block <= last; block++) blocks.add(block)
  }
  return blocks.size
}
