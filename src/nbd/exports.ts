import type { BlockDevice } from '../base/index.ts'
import type { MetaContext } from './contexts.ts'
import { transmissionFlags, type HeaderStyle } from './wire.ts'

/** One disk that clients may open, by name. */
export interface NbdExport {
  readonly name: string
  /** For people: what `nbdinfo --list` shows. */
  readonly description: string
  readonly device: BlockDevice
  readonly readOnly: boolean
}

/** What a server offers now; the first is also what a client gets who names none. */
export type NbdExports = () => readonly NbdExport[]

/** What a client and the server have agreed on before the first request. */
export interface Terms {
  readonly style: HeaderStyle
  /** What BLOCK_STATUS answers. */
  readonly contexts: readonly MetaContext[]
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
export function flagsOf({ device, readOnly }: NbdExport, { style, contexts }: Terms): number {
  const flags = transmissionFlags
  let offered = flags.HAS_FLAGS | flags.SEND_FLUSH | flags.SEND_FUA | flags.CAN_MULTI_CONN
  if (device.prefetch !== undefined) offered |= flags.SEND_CACHE
  if (style !== 'simple') offered |= flags.SEND_DF
  if (style === 'extended' && contexts.length > 0) offered |= flags.BLOCK_STATUS_PAYLOAD
  if (readOnly) return offered | flags.READ_ONLY
  if (device.trim !== undefined) offered |= flags.SEND_TRIM
  if (device.zero !== undefined) offered |= flags.SEND_FAST_ZERO
  return offered | flags.SEND_WRITE_ZEROES
}
