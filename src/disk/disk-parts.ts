import type { Clock, Frame, Logger } from '../base/index.ts'
import type { Processor } from './background-pace.ts'
import type { ChunkStates, ServableEvents } from './chunk-states.ts'
import type { DemandEvents } from './demand.ts'
import type { ImageLayout } from './format.ts'
import type { Metadata } from './metadata.ts'
import type { OpenOptions } from './opening.ts'
import type { Relocating } from './redeploying.ts'
import type { RoomEvents } from './room-wait.ts'
import type { Storage } from './storage.ts'

/** What a disk stands on once its files are open. */
export interface DiskParts {
  readonly image: ImageLayout
  readonly target: Storage
  readonly metadata: Metadata
  /** Every block that the metadata does not know reads as zeros from the target. */
  readonly blank: boolean
  /** Chunks of an earlier image have to be moved before the disk can be used. */
  readonly relocating?: Relocating
  /** To be called when they have been. */
  readonly settle?: () => Promise<void>
  /** Where the machine's writes go to be forgotten; undefined where they are kept. */
  readonly overlay?: Storage
  /** Gives up the sole right to a device, and goes on using it: the machine is to have it. */
  readonly unclaim?: () => Promise<void>
  /** Lets go of the files. */
  readonly release: () => Promise<void>
}

export interface DiskContext extends DemandEvents, ServableEvents, RoomEvents {
  /** A chunk's pristine frame was given up for want of room; `count` of them by now. */
  readonly onGivenUp?: (count: number) => void
  readonly logger: Logger
  readonly clock?: Clock
  /** How long a change may stay unrecorded; `limits.journalIntervalMs` by default. */
  readonly settleMs?: number
  /** Bytes a second that the stream and the verification may move at most; as many as can be by default. */
  readonly backgroundRate?: number
  /** Bytes a second that they may move however busy the machine is; see BackgroundRates. */
  readonly backgroundFloor?: number
  /** Without it the background knows nothing of who else wants the processor. */
  readonly processor?: Processor
  /** How frames are made that are put aside; compressed by default. */
  readonly encodeFrame?: (plain: Uint8Array) => Promise<Frame>
}

export interface TargetDiskOptions extends OpenOptions, DiskContext {}

export interface DiskProgress {
  readonly chunkCount: number
  /** Chunks of which nothing is still to be fetched. */
  readonly presentChunks: number
  /** Bytes in blocks that the machine wrote. */
  readonly machineWrittenBytes: number
  /** Bytes of the aside area that are in use. */
  readonly asideBytes: number
  /** Chunks whose pristine frame there was no room for: they are not served. */
  readonly asideGivenUp: number
}

export function progressOf({ image, neededCount, map, aside, givenUp }: ChunkStates): DiskProgress {
  return {
    chunkCount: image.chunkCount,
    presentChunks: image.chunkCount - neededCount,
    machineWrittenBytes: map.writtenBytes,
    asideBytes: aside.usedBytes,
    asideGivenUp: givenUp.count
  }
}
