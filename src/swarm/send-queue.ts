import { requestClasses, type ChunkId, type Frame, type RequestClass } from '../base/index.ts'
import type { Link } from './link.ts'

/** What a peer has asked for and is to get. */
export interface Upload {
  readonly link: Link
  readonly request: number
  readonly id: ChunkId
  /** This node has picked the chunk. */
  readonly isGift: boolean
  class: RequestClass
  /** `waiting` for a chunk that is not here yet; the others are in the send queue. */
  state: 'waiting' | 'queued' | 'loading' | 'ready'
  /** The peer knows that it will be served. */
  isAccepted: boolean
  frame: Frame | undefined
  /** Bytes of the frame that were handed to the link. */
  offset: number
}

type Lines = Map<Link, Set<Upload>>

/** Uploads that are not waiting: by class, and within a class the links take turns. */
export class SendQueue {
  #lines: Readonly<Record<RequestClass, Lines>> = {
    urgent: new Map(),
    prefetch: new Map(),
    background: new Map()
  }

  /** Links that something is to be sent to, each counted once a class. */
  get lineCount(): number {
    const { urgent, prefetch, background } = this.#lines
    return urgent.size + prefetch.size + background.size
  }

  get hasUrgent(): boolean {
    return this.#lines.urgent.size > 0
  }

  add(upload: Upload): void {
    const lines = this.#lines[upload.class]
    const line = lines.get(upload.link) ?? new Set<Upload>()
    lines.set(upload.link, line.add(upload))
  }

  delete(upload: Upload): void {
    const lines = this.#lines[upload.class]
    const line = lines.get(upload.link)
    line?.delete(upload)
    if (line?.size === 0) lines.delete(upload.link)
  }

  /**
   * The upload whose turn it is, of those that `first` picks from a link's line; its link goes to the
   * end of the order.
   */
  next(first: (line: Iterable<Upload>) => Upload | undefined): Upload | undefined {
    for (const wanted of requestClasses) {
      const lines = this.#lines[wanted]
      for (const [link, line] of lines) {
        // An urgent frame is loaded while the link is still full, so that nothing goes before it then.
        if (!link.writable && wanted !== 'urgent') continue
        const upload = first(line)
        if (upload === undefined || !link.writable) continue
        if (lines.size > 1) {
          lines.delete(link)
          lines.set(link, line)
        }
        return upload
      }
    }
    return undefined
  }
}
