import { limits, secondsUp, systemTimers } from '../base/index.ts'
import {
  encodeBootOrder,
  openProfile,
  zeroId,
  type BootProfile,
  type BootStep,
  type ImageRoot
} from '../image/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import type { Link } from '../swarm/index.ts'
import { BootRecorder } from './boot-recorder.ts'
import type { AgentOptions } from './options.ts'
import { ReadAhead } from './read-ahead.ts'
import type { Session } from './session.ts'

export interface BootLearningInit {
  readonly image: Pick<ImageRoot, 'imageId' | 'size' | 'chunkSize'>
  /** Whose signature makes a profile worth following. */
  readonly labKey: Uint8Array
  readonly options: Pick<AgentOptions, 'profileAfterMs' | 'logger'>
  session(): Session | undefined
  emit(event: AgentEvent): void
}

/**
 * What this machine's boot reads, for the next boots of the image, and what will be read: what earlier boots
 * say of it, or else what follows reads that follow one another.
 */
export class BootLearning {
  #init: BootLearningInit
  #recorder: BootRecorder
  #ahead = new ReadAhead()
  #report: Uint8Array | undefined
  #profile: BootProfile | undefined
  #signed: Uint8Array | undefined

  constructor(init: BootLearningInit) {
    const { image, options } = init
    this.#init = init
    this.#recorder = new BootRecorder({
      chunkSize: image.chunkSize,
      chunkCount: Math.ceil(image.size / image.chunkSize),
      quietMs: options.profileAfterMs ?? limits.bootQuietMs,
      timers: systemTimers,
      isZero: position => init.session()?.manifest.chunkIdAt(position) === zeroId,
      onFirst: position => init.session()?.transfer.touched(position),
      onBooted: steps => this.#booted(steps)
    })
  }

  /** The machine reads from its disk. */
  read(offset: number, length: number): void {
    this.#recorder.read(offset, length)
    // A profile knows better.
    if (this.#profile === undefined) this.#readAhead(offset, length)
  }

  stop(): void {
    this.#recorder.stop()
  }

  /** A seed is here: it is told of the boot, if that is over. */
  tell(seed: Link): void {
    const { imageId } = this.#init.image
    if (this.#report !== undefined) seed.send({ type: 'boot', imageId, bytes: this.#report })
  }

  /**
   * The profile in what a peer sent, when it is the lab's, of this image, and learned from more boots
   * than the one before; undefined for anything else.
   */
  foresee(signed: Uint8Array): BootProfile | undefined {
    const { labKey, image, options } = this.#init
    let profile: BootProfile
    try {
      profile = openProfile(labKey, signed)
    } catch (error) {
      options.logger.warn('a boot profile is not used', { error })
      return undefined
    }
    const isBetter = profile.reports > (this.#profile?.reports ?? 0)
    if (profile.imageId !== image.imageId || !isBetter) return undefined
    this.#profile = profile
    // What came lies in memory that is used again.
    this.#signed = Uint8Array.from(signed)
    const { steps, reports } = profile
    this.#init.emit({ event: 'foreseen', seconds: secondsUp(), chunks: steps.length, reports })
    return profile
  }

  /** Passes on what is known: the signature is the lab's, whoever brings it. */
  relay(link: Link): void {
    const { imageId } = this.#init.image
    if (this.#signed === undefined) return
    link.send({ type: 'profile', imageId, machines: 0, bytes: this.#signed })
  }

  #readAhead(offset: number, length: number): void {
    const transfer = this.#init.session()?.transfer
    const ahead = transfer && this.#ahead.next(offset, length, transfer.aheadBytes)
    if (ahead !== undefined) transfer?.ahead(ahead.offset, ahead.length)
  }

  #booted(steps: readonly BootStep[]): void {
    this.#report = encodeBootOrder(steps)
    for (const seed of this.#init.session()?.seeds() ?? []) this.tell(seed)
    this.#init.emit({ event: 'booted', seconds: secondsUp(), chunks: steps.length })
  }
}
