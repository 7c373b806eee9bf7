import type { Frame } from '../base/index.ts'
import type { ImagePlace } from './image-place.ts'
import type { ImageView } from './image-view.ts'

/**
 * Where an image goes that is also shown as it is, beside the machine's disk: the disk takes what it
 * needs, the view what somebody waits for there, which may be what the machine has written over.
 */
export class SharedPlace implements ImagePlace {
  readonly #disk: ImagePlace
  readonly #view: ImageView

  constructor(disk: ImagePlace, view: ImageView) {
    this.#disk = disk
    this.#view = view
  }

  get handedOver(): boolean {
    return this.#disk.handedOver === true
  }

  needs(position: number): boolean {
    return this.#disk.needs(position) || this.#view.needs(position)
  }

  async place(position: number, plain: Uint8Array, frame?: Frame): Promise<boolean> {
    const shown = await this.#view.place(position, plain)
    if (!this.#disk.needs(position)) return shown
    const placed = await this.#disk.place(position, plain, frame)
    // Who began to wait in the meantime was told that it is on its way.
    await this.#view.place(position, plain)
    return placed || shown
  }

  placeZero(position: number): void {
    this.#disk.placeZero(position)
  }

  servable(position: number): boolean {
    return this.#disk.servable(position)
  }

  bitfield(): Uint8Array {
    return this.#disk.bitfield()
  }

  pristine(position: number): ReturnType<ImagePlace['pristine']> {
    return this.#disk.pristine(position)
  }

  distrust(position: number): Promise<void> {
    return this.#disk.distrust(position)
  }

  async keepManifestBlock(slot: number, block: Uint8Array): Promise<void> {
    await this.#disk.keepManifestBlock(slot, block)
    await this.#view.keepManifestBlock(slot)
  }

  manifestBlock(slot: number): Promise<Uint8Array | undefined> {
    return this.#disk.manifestBlock(slot)
  }
}
