import type { Logger } from '../base/index.ts'
import type { Processor, WritesMode } from '../disk/index.ts'
import type { NbdTls } from '../nbd/index.ts'
import type { BootCacheInit } from '../netboot/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import type { Tuning } from '../scheduler/index.ts'

export interface AgentOptions {
  readonly ticket: string
  /** A name, a name and tag, or a CID. */
  readonly image: string
  /** The target disk: a file, made if absent, or a block device. */
  readonly disk: string
  /** `unix:PATH` or `HOST:PORT`. */
  readonly nbd: string
  /** `/dev/nbdN`: what becomes the disk on this machine. */
  readonly device?: string
  /** Default: the host name and the end of the peer id. */
  readonly name?: string
  readonly metadata?: string
  /** Hardware addresses or SMBIOS UUID by which the lab knows this machine; its own by default. */
  readonly machineIds?: readonly string[]
  readonly listen?: readonly string[]
  /** `room/rack`: who is in the same is asked first; without it, who is in the same subnet. */
  readonly location?: string | undefined
  readonly insecure?: boolean
  /** NBD clients have to encrypt. */
  readonly nbdTls?: NbdTls
  /** A read that waited so long is answered with an error; without it, reads wait. */
  readonly readTimeoutMs?: number
  /** Take the disk whatever it holds. */
  readonly force?: boolean
  /** Switch to what the image's name means now. */
  readonly redeploy?: boolean
  /** With `force` or `redeploy`: hash what the disk holds, and use again what the image has. */
  readonly scan?: boolean
  /** What becomes of the machine's writes; `keep` by default. */
  readonly writes?: WritesMode
  /** `unix:PATH`: where the machine's own root can ask for the disk (docs/hand-over.md). */
  readonly control?: string
  /** For how long a complete machine serves its peers; Infinity, the default, until it is stopped. */
  readonly shareMs?: number
  /** Bytes a second that the background may use of the disk at most. */
  readonly backgroundRate?: number
  /** And that it may use however busy the machine is. */
  readonly backgroundFloor?: number
  /** What the background is to know of the processor that the machine works with. */
  readonly processor?: Processor
  /** Everything is set up and nobody is dialled before this resolves. */
  readonly released?: Promise<void>
  /** Without a chunk read for the first time for so long a boot is over; Infinity reports none. */
  readonly profileAfterMs?: number
  readonly tuning?: Tuning
  /** Bytes of frames a second. */
  readonly uploadRate?: number
  readonly downloadRate?: number
  /** What this machine has of the files that others boot, and where it serves them. */
  readonly bootCache?: Omit<BootCacheInit, 'logger'>
  readonly logger: Logger
  onEvent(event: AgentEvent): void
}

/** What an image is shown with that goes to no disk. */
export type ExporterOptions = Omit<
  AgentOptions,
  'disk' | 'device' | 'metadata' | 'force' | 'redeploy' | 'shareMs' | 'bootCache' | 'processor'
>

/** Any free port of every address: peers learn it from the hello. */
export const defaultListen = ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0']
