import { BootswarmError, type ChunkId } from '../base/index.ts'
import { idOfCidText, imageCidText, type ImageRoot } from '../image/index.ts'
import type { FoundImage } from './image-finder.ts'
import type { Machine } from './machine.ts'
import type { FoundManifest } from './manifest-finder.ts'
import type { AgentOptions } from './options.ts'

export type PinnedImage = Pick<ImageRoot, 'imageId' | 'size' | 'chunkSize' | 'chunkCount'>

export interface ImageChoice {
  readonly image: PinnedImage
  /** What was asked of the peers; undefined where the disk knows enough. */
  readonly found?: FoundImage
  /** All pages, where what the disk holds is to be compared with them before it is opened. */
  readonly whole?: FoundManifest
  /** The disk is to be switched from what it has now. */
  readonly redeploys: boolean
}

export interface ImageSources {
  /** The root of what the name means now, or of the image with that id. */
  find(imageId: ChunkId | undefined): Promise<FoundImage>
  pages(root: ImageRoot): Promise<FoundManifest>
}

/** What the disk is pinned to, unless the user wants it otherwise; else what the name means now. */
export async function chooseImage(
  options: AgentOptions,
  { pinned }: Machine,
  sources: ImageSources
): Promise<ImageChoice> {
  const { force = false, redeploy = false, scan = false, writes = 'keep' } = options
  if (pinned !== undefined && !force && !redeploy) {
    checkPinned(options, pinned.image)
    if (!pinned.relocating) return { image: pinned.image, redeploys: false }
    const found = await sources.find(pinned.image.imageId)
    return { image: pinned.image, found, whole: await sources.pages(found.root), redeploys: false }
  }
  const found = await sources.find(undefined)
  const isSame = found.root.imageId === pinned?.image.imageId && pinned.writes === writes
  const redeploys = redeploy && pinned !== undefined && !isSame
  const needsAll = redeploys || scan || pinned?.relocating === true
  const whole = needsAll ? await sources.pages(found.root) : undefined
  return { image: found.root, found, whole, redeploys }
}

/** A name may have moved on, and then says so later; a CID is one image for ever. */
function checkPinned({ image: asked, disk }: AgentOptions, pinned: PinnedImage): void {
  const imageId = idOfCidText(asked)
  if (imageId === undefined || imageId === pinned.imageId) return
  throw new BootswarmError(
    'ERR_TARGET_FOREIGN',
    `the disk ${disk} is being given the image ${imageCidText(pinned.imageId)}; to switch to ${asked} add --redeploy`
  )
}
