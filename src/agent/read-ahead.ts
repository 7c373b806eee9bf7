/** Streams that are followed at a time: a boot reads few files at once. */
const streamsMax = 8
/** Reads that follow one another before anything is fetched ahead: two may do so by chance. */
const readsMin = 3
/** A stream may leave out so much: file systems put other things between a file's extents. */
const gapBytesMax = 64 * 1024

interface Stream {
  /** Where its last read ended. */
  end: number
  reads: number
  /** Up to there it has been fetched ahead. */
  aheadTo: number
}

export interface Ahead {
  readonly offset: number
  readonly length: number
}

/**
 * Finds reads that follow one another on a disk, several streams side by side, and says what should be
 * on its way before they get there. For reads here and there it says nothing.
 */
export class ReadAhead {
  /** Used last comes last. */
  #streams: Stream[] = []

  /** What to fetch after this read, in bytes, `window` of them ahead of it; undefined for nothing. */
  next(offset: number, length: number, window: number): Ahead | undefined {
    const end = offset + length
    const stream = this.#follow(offset, end)
    if (stream.reads < readsMin) return undefined
    const from = Math.max(end, stream.aheadTo)
    const to = end + window
    // Half a window at a time: a message a read would be as many as without reading ahead.
    if (to - from < window / 2) return undefined
    stream.aheadTo = to
    return { offset: from, length: to - from }
  }

  #follow(offset: number, end: number): Stream {
    const index = this.#streams.findLastIndex(
      stream => offset >= stream.end && offset <= stream.end + gapBytesMax
    )
    const [known] = index < 0 ? [] : this.#streams.splice(index, 1)
    const stream = known ?? { end, reads: 0, aheadTo: 0 }
    stream.end = end
    stream.reads += 1
    this.#streams.push(stream)
    if (this.#streams.length > streamsMax) this.#streams.shift()
    return stream
  }
}
