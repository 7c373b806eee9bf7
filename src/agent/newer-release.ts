import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../base/index.ts'
import { idOfCidText, imageCidText, openRelease } from '../image/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import type { PinnedImage } from './image-choice.ts'

/** Notices that the name by which an image was asked for means another one by now. */
export class NewerRelease {
  readonly #labKey: Uint8Array
  readonly #asked: string
  readonly #answered = Promise.withResolvers<void>()
  #said: string | undefined

  /** `asked` is the name by which the user wants an image, or its CID, which never means another. */
  constructor(labKey: Uint8Array, asked: string) {
    this.#labKey = labKey
    this.#asked = asked
    if (idOfCidText(asked) !== undefined) this.#answered.resolve()
  }

  /** The disk is given what the name means at this start: there is nothing to wait for. */
  isAsked(): void {
    this.#answered.resolve()
  }

  /**
   * Resolves when a seed has said what the name means, or after `limits.nameAnswerMs`, for no seed may be
   * there, or when the signal aborts.
   */
  async said(signal: AbortSignal): Promise<void> {
    const waiting = sleep(limits.nameAnswerMs, undefined, { signal, ref: false })
    await Promise.race([this.#answered.promise, waiting.catch(() => {})])
  }

  /**
   * What there is to say of a release that a seed has signed; every seed says it each time that it is
   * reached, and it is news once. An empty release says that the name is not known. Throws as openRelease.
   */
  newsOf(signed: Uint8Array, image: PinnedImage): AgentEvent | undefined {
    this.#answered.resolve()
    if (signed.length === 0) {
      if (this.#said !== undefined) return undefined
      this.#said = ''
      return { event: 'unknown', name: this.#asked, image: imageCidText(image.imageId) }
    }
    const { name, tag, imageId } = openRelease(this.#labKey, signed)
    const newer = imageCidText(imageId)
    if (imageId === image.imageId || this.#said === newer) return undefined
    this.#said = newer
    return { event: 'newer', name: `${name}:${tag}`, image: newer }
  }
}
