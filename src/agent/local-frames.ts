import { isErrorCode, type ChunkId, type Frame, type Holding, type Logger } from '../base/index.ts'
import { chunkIdOf, encodeFrame, FrameEncoder, verifiedPlain } from '../image/index.ts'
import type { FrameSource } from '../swarm/index.ts'
import type { ImagePlace } from './image-place.ts'
import type { Items } from './items.ts'
import { keptPage } from './kept-manifest.ts'
import type { RelayCache } from './relay-cache.ts'

export interface LocalFramesInit {
  readonly items: Items
  readonly disk: ImagePlace
  readonly relay: RelayCache
  readonly logger: Logger
  /** How it stands with an item that is not here. */
  standing(item: number): 'promised' | 'sought' | 'absent'
  /** What the disk holds of a chunk is not what the image has. */
  onRotten(position: number): void
}

/** The frames that this machine can serve: those it just received, then what its disk holds. */
export class LocalFrames implements FrameSource {
  #init: LocalFramesInit
  #encoder = new FrameEncoder()

  constructor(init: LocalFramesInit) {
    this.#init = init
  }

  holding(id: ChunkId): Holding {
    const { items, disk, relay } = this.#init
    if (relay.has(id)) return 'held'
    const page = items.pagesOf(id)[0]
    if (page !== undefined && items.manifest.hasPage(page)) return 'held'
    if (items.manifest.positionsOf(id).some(position => disk.servable(position))) return 'held'
    const item = items.itemOf(id)
    return item === undefined ? 'absent' : this.#init.standing(item)
  }

  async load(id: ChunkId): Promise<Frame | undefined> {
    const { items, disk, relay } = this.#init
    const relayed = relay.get(id)
    if (relayed !== undefined) return relayed
    const page = items.pagesOf(id)[0]
    if (page === undefined) return this.#fromDisk(id)
    const frame = await pageFrame(disk, page, id)
    if (frame !== undefined) relay.put(id, frame)
    return frame
  }

  async close(): Promise<void> {
    await this.#encoder.close()
  }

  /** The plain bytes of a chunk that lies somewhere on this disk, checked; undefined if it does not. */
  async plain(id: ChunkId): Promise<Uint8Array | undefined> {
    const { items, disk } = this.#init
    for (const position of items.manifest.positionsOf(id)) {
      if (!disk.servable(position)) continue
      const pristine = await disk.pristine(position).catch((error: unknown) => {
        if (isErrorCode(error, 'ERR_DISK_IO')) this.#init.onRotten(position)
        else throw error
      })
      if (pristine === undefined) continue
      const plain =
        'plain' in pristine
          ? pristine.plain
          : await verifiedPlain(id, pristine.frame, items.plainLengthMax(position)).catch(
              () => undefined
            )
      if (plain !== undefined && chunkIdOf(plain) === id) return plain
      this.#init.logger.warn('a chunk on the local disk is not what it was', { position })
      this.#init.onRotten(position)
    }
    return undefined
  }

  async #fromDisk(id: ChunkId): Promise<Frame | undefined> {
    const { relay } = this.#init
    const plain = await this.plain(id)
    if (plain === undefined) return undefined
    // From the relay it comes in memory that goes back there when it has been sent.
    return this.#encoder.encode(plain, frame => {
      relay.put(id, frame)
      return relay.get(id) ?? { ...frame, bytes: Uint8Array.from(frame.bytes) }
    })
  }
}

async function pageFrame(disk: ImagePlace, page: number, id: ChunkId): Promise<Frame | undefined> {
  const bytes = await keptPage(disk, page, id)
  return bytes === undefined ? undefined : encodeFrame(bytes, 'fast')
}
