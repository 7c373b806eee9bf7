import type { TargetDisk } from '../disk/index.ts'

/** What a transfer needs of where an image goes: a target disk, or no disk at all. */
export type ImagePlace = Pick<
  TargetDisk,
  | 'needs'
  | 'place'
  | 'placeZero'
  | 'servable'
  | 'bitfield'
  | 'pristine'
  | 'distrust'
  | 'keepManifestBlock'
  | 'manifestBlock'
> & {
  /** The machine writes to it past us: what does not match is not fetched again. */
  readonly handedOver?: boolean
}
