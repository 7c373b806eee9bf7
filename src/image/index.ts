export { carryOver, nameSteps } from './boot-carry-over.ts'
export type { NamedStep } from './boot-carry-over.ts'
export {
  decodeBootOrder,
  encodeBootOrder,
  mergeBoots,
  openProfile,
  signProfile
} from './boot-profile.ts'
export type { BootProfile, BootStep } from './boot-profile.ts'
export { ChunkCache } from './chunk-cache.ts'
export { sourceOf } from './chunk-source.ts'
export { diffManifests } from './diff.ts'
export { exportImage } from './export.ts'
export { fileError, partialPathOf, replaceFile, syncDirectory, writeFully } from './files.ts'
export {
  decodeObject,
  decodePage,
  decodeRoot,
  encodePage,
  encodeRoot,
  formatVersionError,
  isChunkSize,
  pageCountOf
} from './format.ts'
export type { ImageRoot } from './format.ts'
export { FrameEncoder } from './frame-encoder.ts'
export { decodeFrame, encodeFrame, plainFrame, verifiedPlain } from './frames.ts'
export {
  chunkIdOf,
  digestBytes,
  idOfCidText,
  imageCidText,
  isChunkId,
  isZero,
  zeroId
} from './ids.ts'
export { checkImageFile } from './image-file.ts'
export { ImageDevice } from './image-device.ts'
export type { ImageChunks } from './image-device.ts'
export { importImage } from './import.ts'
export type { ImageProgress, ImportOptions, ImportResult } from './import.ts'
export { Manifest, readManifest } from './manifest.ts'
export { openRelease, parseImageName, signRelease } from './release.ts'
export type { ImageName, Release } from './release.ts'
export { StoredChunks } from './stored-chunks.ts'
export { drain, inParallel } from './streams.ts'
export type { Step } from './streams.ts'
export { verifyImage } from './verify.ts'
export type { VerifyOptions, VerifyResult } from './verify.ts'
export { Verifier } from './verifier.ts'
export type { IncomingFrame } from './verifier.ts'
