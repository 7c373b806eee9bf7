import { secondsUp } from '../base/index.ts'
import { deadConnectionSecondsDefault, KernelNbd, parseNbdAddress } from '../nbd/index.ts'
import type { DeviceEvent } from '../observe/index.ts'

/**
 * The disk that an agent serves as a `/dev/nbdN` of its own machine. The kernel has the device, and it outlives
 * this process: what the machine wants of it meanwhile waits for the next agent.
 */
export class MachineDevice {
  readonly #device: string
  readonly #nbd: string
  readonly #emit: (event: DeviceEvent) => void
  #kernel: KernelNbd | undefined
  #attaching: Promise<unknown> = Promise.resolve()

  /** `nbd` is where the agent serves it. ERR_USAGE for what is no /dev/nbdN, ERR_TOOL_MISSING without nbd.ko. */
  constructor(device: string, nbd: string, emit: (event: DeviceEvent) => void) {
    this.#device = device
    this.#nbd = nbd
    this.#emit = emit
    this.#kernel = new KernelNbd({
      address: parseNbdAddress(nbd),
      device,
      exportName: '',
      deadConnectionSeconds: deadConnectionSecondsDefault,
      onLost: () => emit({ event: 'lost', seconds: secondsUp() }),
      onReconnected: () => emit({ event: 'reconnected', seconds: secondsUp() })
    })
  }

  /** As KernelNbd.attach. */
  async attach(): Promise<void> {
    const kernel = this.#kernel
    if (kernel === undefined) return
    const attaching = kernel.attach()
    this.#attaching = attaching.catch(() => {
      // Who asked for it knows.
    })
    await attaching
    const { size } = kernel
    this.#emit({ event: 'attached', device: this.#device, size, nbd: this.#nbd })
  }

  /** The agent stops; the device stays. */
  async leave(): Promise<void> {
    await (await this.#last())?.leave()
  }

  /** Takes it away, also when an earlier agent made it. */
  async detach(): Promise<void> {
    await (await this.#last())?.detach()
  }

  /** What comes after it finds nothing more to do. */
  async #last(): Promise<KernelNbd | undefined> {
    const kernel = this.#kernel
    this.#kernel = undefined
    await this.#attaching
    return kernel
  }
}
