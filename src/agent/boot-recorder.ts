import { limits, type BlockDevice, type Timers } from '../base/index.ts'
import type { BootStep } from '../image/index.ts'

export interface BootRecorderInit {
  /** Of the image, in bytes. */
  readonly chunkSize: number
  /** Of the image. */
  readonly chunkCount: number
  /** Without a first touch for so long the boot is over; Infinity records nothing. */
  readonly quietMs: number
  readonly timers: Timers
  /** As far as the manifest is here. */
  isZero(position: number): boolean
  /** A chunk is read for the first time. */
  onFirst(position: number): void
  /** The boot is over: once, and not at all for what read more chunks than a boot does, or nearly all. */
  onBooted(steps: readonly BootStep[]): void
}

/** Who reads more than this share of the chunks that hold anything copies or checks the disk. */
const bootShareMax = 0.9

/** Notes which chunks the machine reads first, in which order and when, until it has booted. */
export class BootRecorder {
  #init: BootRecorderInit
  #touched: Uint8Array
  /** Undefined once the boot is over. */
  #steps: BootStep[] | undefined = []
  #firstAt: number | undefined
  #cancel: (() => void) | undefined

  constructor(init: BootRecorderInit) {
    this.#init = init
    this.#touched = new Uint8Array(Math.ceil(init.chunkCount / 8))
    if (init.quietMs === Infinity) this.#steps = undefined
  }

  read(offset: number, length: number): void {
    const { chunkSize, chunkCount } = this.#init
    const end = Math.min(chunkCount, Math.ceil((offset + length) / chunkSize))
    for (let position = Math.floor(offset / chunkSize); position < end; position += 1) {
      this.#touch(position)
    }
  }

  stop(): void {
    this.#cancel?.()
    this.#steps = undefined
  }

  #touch(position: number): void {
    const bit = 0x80 >> (position % 8)
    const byte = this.#touched[position >> 3] ?? 0
    if ((byte & bit) !== 0) return
    this.#touched[position >> 3] = byte | bit
    this.#init.onFirst(position)
    this.#record(position)
  }

  #record(position: number): void {
    const { timers, quietMs } = this.#init
    const steps = this.#steps
    if (steps === undefined) return
    this.#cancel?.()
    if (steps.length === limits.bootChunksMax) {
      this.#steps = undefined
      return
    }
    this.#firstAt ??= timers.now()
    steps.push({ position, ms: Math.round(timers.now() - this.#firstAt) })
    this.#cancel = timers.after(quietMs, () => {
      this.#steps = undefined
      if (!this.#isCopy(steps)) this.#init.onBooted(steps)
    })
  }

  /** Zeros say nothing: some copy them, others pass over what is said to be a hole. */
  #isCopy(steps: readonly BootStep[]): boolean {
    const init = this.#init
    let holding = 0
    for (let position = 0; position < init.chunkCount; position += 1) {
      if (!init.isZero(position)) holding += 1
    }
    const read = steps.filter(({ position }) => !init.isZero(position)).length
    return read > holding * bootShareMax
  }
}

/** The device, and somebody who is told of each read as it begins. */
export function withReadsWatched(
  device: BlockDevice,
  reads: Pick<BootRecorder, 'read'>
): BlockDevice {
  const readNow = (offset: number, into: Buffer): boolean => {
    const done = device.readNow?.(offset, into) === true
    if (done) reads.read(offset, into.length)
    return done
  }
  return {
    size: device.size,
    ...(device.readNow && { readNow }),
    read: (offset, length, signal, into) => {
      reads.read(offset, length)
      return device.read(offset, length, signal, into)
    },
    write: (offset, data) => device.write(offset, data),
    ...(device.writeNow && { writeNow: device.writeNow.bind(device) }),
    flush: () => device.flush(),
    ...(device.extents && { extents: device.extents.bind(device) }),
    ...(device.zero && { zero: device.zero.bind(device) }),
    ...(device.trim && { trim: device.trim.bind(device) }),
    ...(device.prefetch && { prefetch: device.prefetch.bind(device) })
  }
}
