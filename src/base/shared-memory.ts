/** V8 copies into and out of shared memory by words of so many bytes, where both sides begin at a multiple of it. */
const wordBytes = 8
const pieceBytes = 64 * 1024

/** Not shared; begins at a multiple of a word. */
const between = Buffer.allocUnsafeSlow(pieceBytes + wordBytes)

/** The least multiple of a word that so many bytes fit into. */
export function inSharedWords(bytes: number): number {
  return wordBytes * Math.ceil(bytes / wordBytes)
}

/**
 * As `target.set(bytes, at)`, for a target in a SharedArrayBuffer. There `set` copies byte by byte unless both
 * sides lie alike in their words, and what comes from a socket lies anywhere: by way of memory that lies like the
 * target it is five to ten times as fast.
 */
export function copyToShared(target: Uint8Array, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, pieceBytes)
    const shift = (target.byteOffset + at + done) % wordBytes
    const piece = between.subarray(shift, shift + length)
    piece.set(length === bytes.length ? bytes : bytes.subarray(done, done + length))
    target.set(piece, at + done)
    done += length
  }
}
