import type { BlockDevice } from '../base/index.ts'
import { transmissionFlags } from './wire.ts'

/** One disk that clients may open, by name. */
export interface NbdExport {
  readonly name: string
  /** For people: what `nbdinfo --list` shows. */
  readonly description: string
  readonly device: BlockDevice
  readonly readOnly: boolean
}

/** The first export is also the one that a client gets who names none. */
export function findExport(exports: readonly NbdExport[], name: string): NbdExport | undefined {
  return (
    exports.find(candidate => candidate.name === name) ?? (name === '' ? exports[0] : undefined)
  )
}

/**
 * What a client may do with an export. Several connections are fine: all of them reach one device, so
 * a flush on any covers the writes of all.
 */
export function flagsOf(target: NbdExport): number {
  const { HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, CAN_MULTI_CONN } = transmissionFlags
  return HAS_FLAGS | SEND_FLUSH | SEND_FUA | CAN_MULTI_CONN | (target.readOnly ? READ_ONLY : 0)
}
