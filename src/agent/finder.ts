import { limits, orAborted, type ChunkId, type Frame, type Holding } from '../base/index.ts'
import type { Link, RefusalReason } from '../swarm/index.ts'
import type { Peering, PeeringSession } from './peering.ts'

/** Looks for blocks of a manifest before there is a disk: it serves nothing and follows no news. */
export abstract class Finder<Found> implements PeeringSession {
  protected readonly peering: Peering
  protected readonly found = Promise.withResolvers<Found>()

  constructor(peering: Peering) {
    this.peering = peering
  }

  abstract onPeer(link: Link): void
  abstract onArrived(link: Link, id: ChunkId, bytes: Uint8Array, frame: Frame): void
  abstract onRefused(link: Link, id: ChunkId, reason: RefusalReason): void
  abstract onRedirected(link: Link, id: ChunkId): void
  abstract onCorrupt(link: Link, id: ChunkId): void
  abstract onGone(link: Link): void

  onRelease(_link: Link, _signed: Uint8Array): void {}
  onHeard(): void {}
  onBanned(): void {}
  onExchange(): void {}
  onAccepted(): void {}
  onProgress(): void {}
  onAwaited(): void {}

  holding(): Holding {
    return 'absent'
  }

  load(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /** From now on the peers' answers come here; rejects with the signal's reason. */
  protected look(signal: AbortSignal): Promise<Found> {
    this.peering.session = this
    signal.throwIfAborted()
    return orAborted(this.found.promise, signal)
  }

  /** Peers may not send us elsewhere: we know nobody yet. */
  protected askFor(link: Link, id: ChunkId): void {
    this.peering.downloads.request(link, id, 'urgent', {
      insist: true,
      plainLengthMax: limits.manifestBlockBytesMax
    })
  }
}
