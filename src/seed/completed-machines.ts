import type { Logger } from '../base/index.ts'
import { Completions, type CompletionStatus, type Machines } from '../control/index.ts'
import { imageCidText } from '../image/index.ts'
import { openCompletion, type Link } from '../swarm/index.ts'

/** Takes the machines' completion reports: checked, kept in the store's directory, shown by the status. */
export class CompletedMachines {
  readonly #kept: Completions
  readonly #machines: Machines
  readonly #logger: Logger

  /** Errors of `Completions`. */
  constructor(storeDir: string, machines: Machines, logger: Logger) {
    this.#kept = new Completions(storeDir)
    this.#machines = machines
    this.#logger = logger
    const now = Date.now()
    for (const { peerId, name, signed, receivedMs } of this.#kept.all()) {
      try {
        const completion = statusOf(peerId, signed, receivedMs)
        machines.recall(peerId, name, completion, now - receivedMs)
      } catch (error) {
        logger.warn('a completion report that was kept is passed over', { peer: name, error })
      }
    }
  }

  /** ERR_PEER_PROTOCOL or ERR_FORMAT_VERSION for one that the machine did not sign. */
  reported(link: Link, signed: Uint8Array): void {
    const { peerId, certificate } = link
    const name = certificate?.name ?? ''
    const receivedMs = Date.now()
    this.#machines.completed(peerId, statusOf(peerId, signed, receivedMs))
    try {
      this.#kept.keep({ peerId, name, signed, receivedMs })
    } catch (error) {
      // The machine says it again when it connects the next time.
      this.#logger.warn('a completion report cannot be kept', { peer: name, error })
    }
  }

  close(): void {
    this.#kept.close()
  }
}

function statusOf(peerId: string, signed: Uint8Array, receivedMs: number): CompletionStatus {
  const { imageId, figures } = openCompletion(peerId, signed)
  return { image: imageCidText(imageId), ...figures, receivedMs }
}
