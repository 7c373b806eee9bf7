import type { ChunkId, CompletionFigures, SigningKey } from '../base/index.ts'
import { openCompletion, peerIdOf, signCompletion, type Link } from '../swarm/index.ts'
import type { Identity } from './identity.ts'

/**
 * This machine's signed word that its disk is whole and verified: told to every seed, once a
 * connection, since a seed may have been away when it was written.
 */
export class CompletionNotice {
  readonly #key: SigningKey
  readonly #imageId: ChunkId
  #signed: Uint8Array | undefined

  /**
   * What the identity has of an earlier image says nothing of this one, and nothing of a disk that is
   * to be verified again.
   */
  constructor(identity: Identity, imageId: ChunkId, isComplete: boolean) {
    this.#key = identity.key
    this.#imageId = imageId
    this.#signed = isComplete && isOf(identity, imageId) ? identity.completion : undefined
  }

  /** To be kept with the disk before that is marked as complete. */
  sign(figures: CompletionFigures): Uint8Array {
    const about = { peerId: peerIdOf(this.#key), imageId: this.#imageId }
    this.#signed = signCompletion(this.#key, { ...about, figures })
    return this.#signed
  }

  tell(link: Link): void {
    const signed = this.#signed
    if (signed === undefined || link.certificate?.role !== 'seed') return
    link.send({ type: 'completion', signed })
  }
}

function isOf({ key, completion }: Identity, imageId: ChunkId): boolean {
  if (completion === undefined) return false
  try {
    return openCompletion(peerIdOf(key), completion).imageId === imageId
  } catch {
    // Damaged, or of a newer version: as if there were none.
    return false
  }
}
