import type { CompletionFigures } from '../base/index.ts'

/** What `bootswarm status --json` prints and the seed's HTTP API answers; one object. */
export interface SeedStatus {
  readonly seed: {
    readonly name: string
    readonly peerId: string
    readonly addresses: readonly string[]
    readonly uptimeSeconds: number
    /** Chunk payload handed to peers since the start. */
    readonly bytesSent: number
  }
  readonly images: readonly { readonly name: string; readonly tag: string; readonly cid: string }[]
  readonly machines: readonly MachineStatus[]
}

export interface MachineStatus {
  readonly name: string
  readonly peerId: string
  /** As the machine last said; `gone` when its link has ended. */
  readonly state: string
  /** CID of the image that it runs; empty until it says so. */
  readonly image: string
  /** 0 to 1. */
  readonly present: number
  /** Payload bytes a second. */
  readonly rate: number
  readonly bytesFromSeed: number
  readonly bytesFromPeers: number
  readonly seenSecondsAgo: number
  /** What it last reported of a disk that was whole and verified; null until it does. */
  readonly completion: CompletionStatus | null
  /** CID of the image with which its disk was complete and verified when it last said so. */
  readonly completeWith?: string
  /** Its hardware addresses and SMBIOS UUID. */
  readonly ids?: readonly string[]
  /** Where other machines may load what they boot from it, and which files: as the machine says. */
  readonly bootUrls?: readonly string[]
  readonly bootFiles?: readonly string[]
}

/** A signed completion report, as the seed has checked it. */
export interface CompletionStatus extends CompletionFigures {
  /** CID of the image that was complete. */
  readonly image: string
  /** Time of day at the seed when it came. */
  readonly receivedMs: number
}
