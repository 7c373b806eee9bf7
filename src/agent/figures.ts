import { secondsUp } from '../base/index.ts'
import type { TargetDisk, VerifyReport } from '../disk/index.ts'
import type { Traffic } from './traffic.ts'

/** How the disk came about in this run, and what of it is not the image's. */
export function figuresOf(
  { bytesFromSeed, bytesFromPeers, bytesLocal }: Traffic,
  disk: TargetDisk,
  report: VerifyReport | undefined
) {
  return {
    seconds: secondsUp(),
    bytesFromSeed,
    bytesFromPeers,
    bytesLocal,
    machineWrittenBytes: report?.machineWrittenBytes ?? disk.progress().machineWrittenBytes,
    unverifiableBytes: report?.unverifiableBytes ?? 0
  }
}
