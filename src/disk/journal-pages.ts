import { BootswarmError } from '../base/index.ts'
import type { JournalMark, JournalPage, JournalRecord } from './journal-format.ts'

export interface RecordedPage {
  readonly records: readonly JournalRecord[]
  /** The data that its records speak of is surely there. */
  readonly confirmed: boolean
}

/** In order. ERR_METADATA_CORRUPT if a page is gone that was surely there. */
export function judgePages(pages: readonly JournalPage[], epoch: number): RecordedPage[] {
  const order = [...pages].sort((a, b) => a.epoch - b.epoch || a.index - b.index)
  const confirmed = order
    .map(page => page.confirmed)
    .reduce((last, mark) => (isBefore(last, mark) ? mark : last), { epoch, pages: 0 })
  const kept = order.filter(page => page.epoch === confirmed.epoch && page.index < confirmed.pages)
  if (kept.length < confirmed.pages) throw corrupt('pages of its journal are damaged')
  return order.map(page => ({
    records: page.records,
    confirmed: isBefore({ epoch: page.epoch, pages: page.index }, confirmed)
  }))
}

function isBefore(one: JournalMark, other: JournalMark): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.pages < other.pages)
}

export function corrupt(reason: string): BootswarmError {
  return new BootswarmError(
    'ERR_METADATA_CORRUPT',
    `the disk metadata cannot be trusted: ${reason}; start over with --force`
  )
}
