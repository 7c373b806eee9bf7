import { limits } from '../base/index.ts'

/** The limits of this room; base/limits.ts has the values, tests pass smaller ones. */
export interface NbdLimits {
  readonly nbdRequestBytesMax: number
  readonly nbdOptionBytesMax: number
  readonly nbdOptionsMax: number
  readonly nbdConnectionsMax: number
  readonly nbdHandshakeMs: number
  readonly nbdConnectionBytesMax: number
  readonly nbdConnectionRequestsMax: number
  readonly nbdSendBufferBytes: number
  readonly nbdUnsentBytesMax: number
  readonly nbdServerBytesMax: number
  readonly nbdStuckMs: number
  readonly nbdExtentsMax: number
  readonly nbdZeroPieceBytes: number
  readonly nbdReadAheadBytesMax: number
  readonly nbdIdleBufferBytesMax: number
  readonly nbdCloseMs: number
}

export function nbdLimits(smaller: Partial<NbdLimits> = {}): NbdLimits {
  return { ...limits, ...smaller }
}
