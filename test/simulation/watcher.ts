import type { RefusalReason } from '../../src/swarm/wire.ts'
import type { Message } from '../../src/swarm/index.ts'
import type { SimLink } from './sim-link.ts'
import type { SimNode } from './sim-node.ts'

/** Is told what happens in the simulated lab; the checkers and the counters listen. */
export interface Watcher {
  /** A peer asks this node for a chunk. */
  wanted(node: SimNode, link: SimLink, want: Extract<Message, { type: 'want' }>): void
  sent(link: SimLink, message: Message): void
  sentSegment(link: SimLink, request: number, bytes: number): void
  /** A frame that somebody asked this node for is being read; to be called when it is here. */
  loading(node: SimNode, item: number): () => void
  gone(node: SimNode, link: SimLink): void
  /** This node asks a peer for an item. */
  asked(node: SimNode, peer: string, item: number): void
  accepted(node: SimNode, peer: string, item: number, waiting: boolean): void
  refused(node: SimNode, peer: string, item: number, reason: RefusalReason): void
  /** Bytes of the item have come. */
  moved(node: SimNode, item: number): void
  /** The item is asked of nobody any more. */
  released(node: SimNode, item: number): void
}
