const weight = 0.3
/** Two frames are no accident. */
const samplesEnough = 2
/** A peer is slow when its frames take so many times as long as those of the others and our line. */
const slowTimes = 6
/** What is less than this may have lain ready in a buffer. */
const bytesEnough = 16 * 1024

interface Pace {
  msPerByte: number
  samples: number
}

/** How long the frames of each peer take from their first to their last byte. */
export class Paces {
  #paces = new Map<string, Pace>()

  /** So many bytes came from the peer within so long. */
  came(peer: string, bytes: number, ms: number): void {
    if (bytes < bytesEnough) return
    const pace = this.#paces.get(peer) ?? { msPerByte: ms / bytes, samples: 0 }
    pace.msPerByte += weight * (ms / bytes - pace.msPerByte)
    pace.samples += 1
    this.#paces.set(peer, pace)
  }

  forget(peer: string): void {
    this.#paces.delete(peer)
  }

  /** Much slower than most, and than our own line, which brings `lineBytesPerMs`. */
  isSlow(peer: string, lineBytesPerMs: number): boolean {
    const pace = this.#paces.get(peer)
    if (pace === undefined || pace.samples < samplesEnough || lineBytesPerMs === 0) return false
    const usual = Math.max(this.#median(), 1 / lineBytesPerMs)
    return pace.msPerByte > usual * slowTimes
  }

  #median(): number {
    const paces = [...this.#paces.values()].map(({ msPerByte }) => msPerByte).sort((a, b) => a - b)
    return paces[paces.length >> 1] ?? 0
  }
}
