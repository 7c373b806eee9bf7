import type { TargetDisk } from '../disk/index.ts'
import { idOfCidText, ImageDevice, imageCidText, parseImageName } from '../image/index.ts'
import { withReadTimeout, type NbdExport } from '../nbd/index.ts'
import type { PinnedImage } from './image-choice.ts'
import { withReadsWatched, type BootRecorder } from './boot-recorder.ts'
import { ImageView } from './image-view.ts'
import type { Items } from './items.ts'
import type { AgentOptions } from './options.ts'
import type { Session } from './session.ts'

/**
 * What an agent offers by NBD: without a name the machine's disk, and as NAME:TAG (the CID where the
 * image was asked for by that) the image as it was imported, read-only.
 */
export class AgentExports {
  readonly #options: Pick<AgentOptions, 'image' | 'readTimeoutMs'>
  readonly #description: string
  readonly #offered: NbdExport[]

  constructor(
    options: Pick<AgentOptions, 'image' | 'readTimeoutMs'>,
    { imageId }: PinnedImage,
    disk: TargetDisk,
    reads: Pick<BootRecorder, 'read'>
  ) {
    this.#options = options
    this.#description = `bootswarm image ${imageCidText(imageId)}`
    const device = withReadTimeout(
      withReadsWatched(disk.device, reads),
      this.#options.readTimeoutMs
    )
    const description = `the machine's disk, from ${this.#description}`
    this.#offered = [{ name: '', description, device, readOnly: disk.handedOver }]
  }

  list(): readonly NbdExport[] {
    return this.#offered
  }

  /** From now on the image is offered too. */
  show(view: ImageView): void {
    this.#offered.push({
      name: exportNameOf(this.#options.image),
      description: this.#description,
      device: withReadTimeout(new ImageDevice(view), this.#options.readTimeoutMs),
      readOnly: true
    })
  }
}

/** The image as it was imported, from the machine's disk where that still has it, else from the swarm. */
export function imageBeside(
  disk: Pick<TargetDisk, 'servable'>,
  { manifest }: Items,
  session: () => Session
): ImageView {
  const events = {
    onNeed: (position: number) => session().transfer.need(position, 'look'),
    // What the disk needs as well comes anyway, and the machine may wait for it.
    onNeedless: () => {}
  }
  return new ImageView(manifest, events, {
    has: position => {
      const id = manifest.chunkIdAt(position)
      return id !== undefined && manifest.positionsOf(id).some(other => disk.servable(other))
    },
    plain: async position => {
      const id = manifest.chunkIdAt(position)
      return id === undefined ? undefined : session().frames.plain(id)
    }
  })
}

/** As the seed calls it. */
function exportNameOf(asked: string): string {
  if (idOfCidText(asked) !== undefined) return asked
  const { name, tag } = parseImageName(asked)
  return `${name}:${tag}`
}
