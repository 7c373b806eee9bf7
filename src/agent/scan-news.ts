import { secondsUp } from '../base/index.ts'
import type { ScanProgress } from '../disk/index.ts'
import type { AgentEvent } from '../observe/index.ts'

const intervalSeconds = 1

/** Says how far the reading of a disk is: now and then, and at its end. */
export function scanNews(emit: (event: AgentEvent) => void): (progress: ScanProgress) => void {
  let saidAt = 0
  return ({ bytesDone, size }) => {
    const seconds = secondsUp()
    if (bytesDone < size && seconds - saidAt < intervalSeconds) return
    saidAt = seconds
    emit({ event: 'scanning', seconds, bytesDone, size })
  }
}
