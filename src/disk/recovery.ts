import { limits } from '../base/index.ts'
import { bytesOf } from './block-ranges.ts'
import { blockChecksum, ChecksumOfRun } from './checksums.ts'
import type { KnownStates } from './chunk-states.ts'
import type { ImageLayout } from './format.ts'
import type { CheckedRecord, JournalRecord } from './journal-format.ts'
import type { Recorded } from './metadata.ts'
import type { Storage } from './storage.ts'

/**
 * What of the recorded is true: a record that was written at the same time as its data is dropped when
 * the data did not land, and the blocks are as missing as before.
 */
export async function recover(
  { snapshot, pages }: Recorded,
  target: Storage,
  image: ImageLayout
): Promise<KnownStates> {
  const records: JournalRecord[] = []
  for (const page of pages) {
    for (const record of page.records) {
      const sure = page.confirmed || record.kind !== 'checked'
      if (sure || (await hasLanded(record, target, image))) records.push(record)
    }
  }
  return { snapshot, records }
}

async function hasLanded(
  { block, count, crc }: CheckedRecord,
  target: Storage,
  image: ImageLayout
): Promise<boolean> {
  const { offset, length } = bytesOf({ block, count }, image.size)
  // Of blocks that the image does not have others say that the metadata is damaged.
  if (length <= 0 || offset + length > image.size) return true
  const bytes = await target.read(offset, length)
  const sum = new ChecksumOfRun()
  for (let start = 0; start < length; start += limits.blockBytes) {
    sum.add(blockChecksum(bytes.subarray(start, start + limits.blockBytes)))
  }
  return sum.value === crc
}
