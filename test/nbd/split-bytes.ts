/** The same bytes in the pieces that `cuts` (taken modulo the length) make. */
export function split(bytes: Uint8Array, cuts: readonly number[]): Buffer[] {
  const places = cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b)
  const edges = [0, ...places, bytes.length]
  return edges.slice(1).map((end, index) => Buffer.from(bytes.subarray(edges[index], end)))
}
