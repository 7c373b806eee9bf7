import { BootswarmError, type Logger } from '../base/index.ts'
import type { TargetDisk, VerifyReport } from '../disk/index.ts'
import type { Manifest } from '../image/index.ts'

export interface CompletionInit {
  readonly disk: TargetDisk
  readonly manifest: Manifest
  readonly logger: Logger
  readonly signal: AbortSignal
  onPresent(): void
  /** Resolves when what is to be said of it is kept; only then the disk counts as complete. */
  onVerified(report: VerifyReport): Promise<void>
  onComplete(report: VerifyReport | undefined): void
  /** What the verification found wrong is fetched again. */
  onBad(position: number): void
}

/** A disk that is still wrong after this many rounds of fetching again is failing. */
const roundsMax = 3

/**
 * Watches the disk fill up; when every chunk is there, writes what is left to write, reads the whole
 * disk back, and says so. What does not match is fetched again and verified again.
 */
export class Completion {
  #init: CompletionInit
  #rounds = 0
  #running = false
  #done = false

  constructor(init: CompletionInit) {
    this.#init = init
  }

  get state(): 'streaming' | 'verifying' | 'complete' {
    if (this.#done) return 'complete'
    return this.#running ? 'verifying' : 'streaming'
  }

  /** To be called whenever something has arrived. Rejects with ERR_VERIFY_FAILED and disk errors. */
  async check(): Promise<void> {
    const { disk, manifest } = this.#init
    if (this.#running || this.#done) return
    if (!disk.complete || manifest.missingPages().length > 0) return
    this.#running = true
    try {
      await this.#finish()
    } finally {
      this.#running = false
    }
  }

  async #finish(): Promise<void> {
    const { disk, manifest, signal } = this.#init
    if (disk.markedComplete) {
      // Verified in an earlier run; since then only the machine itself has written, as far as one can tell.
      this.#init.onPresent()
      this.#conclude(undefined)
      return
    }
    if (this.#rounds === 0) this.#init.onPresent()
    await disk.finish(signal)
    const report = await disk.verify(manifest, { signal })
    if (report.badChunks.length > 0) {
      await this.#repair(report)
      return
    }
    await this.#init.onVerified(report)
    await disk.markComplete()
    this.#conclude(report)
  }

  #conclude(report: VerifyReport | undefined): void {
    this.#done = true
    this.#init.onComplete(report)
  }

  async #repair(report: VerifyReport): Promise<void> {
    const { disk, logger } = this.#init
    this.#rounds += 1
    const count = report.badChunks.length
    if (this.#rounds >= roundsMax) {
      throw new BootswarmError(
        'ERR_VERIFY_FAILED',
        `${count} chunks of the target disk still do not match the image after ${roundsMax} rounds; the disk is failing`
      )
    }
    logger.warn('chunks of the target disk do not match the image and are fetched again', { count })
    for (const position of report.badChunks) {
      await disk.distrust(position)
      this.#init.onBad(position)
    }
  }
}
