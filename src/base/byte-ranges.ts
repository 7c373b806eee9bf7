export interface ByteRange {
  readonly offset: number
  readonly length: number
}

export interface ChunkPart extends ByteRange {
  readonly position: number
}

/** A range of bytes, cut where chunks meet. */
export function partsOf({ offset, length }: ByteRange, chunkSize: number): ChunkPart[] {
  const parts: ChunkPart[] = []
  const end = offset + length
  for (let start = offset; start < end;) {
    const position = Math.floor(start / chunkSize)
    const stop = Math.min((position + 1) * chunkSize, end)
    parts.push({ position, offset: start, length: stop - start })
    start = stop
  }
  return parts
}
