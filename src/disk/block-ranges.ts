import { limits, type ByteRange } from '../base/index.ts'
import type { BlockRun } from './presence-map.ts'

const { blockBytes } = limits

/** The blocks that a range of bytes touches. */
export function blocksOf({ offset, length }: ByteRange): BlockRun {
  const block = Math.floor(offset / blockBytes)
  return { block, count: Math.ceil((offset + length) / blockBytes) - block }
}

/** The bytes of a run of blocks on a disk of `size` bytes, whose last block may be short. */
export function bytesOf({ block, count }: BlockRun, size: number): ByteRange {
  const offset = block * blockBytes
  return { offset, length: Math.min((block + count) * blockBytes, size) - offset }
}

/** The blocks of which a range has only a part: none, one or two. */
export function edgesOf({ offset, length }: ByteRange, size: number): number[] {
  const end = offset + length
  const edges: number[] = []
  if (offset % blockBytes !== 0) edges.push(Math.floor(offset / blockBytes))
  const last = Math.floor(end / blockBytes)
  if (end % blockBytes !== 0 && end !== size && edges[0] !== last) edges.push(last)
  return edges
}

/** The whole blocks of a range, if it has any, and what is left of it at its ends. */
export function wholeBlocks(
  { offset, length }: ByteRange,
  size: number
): { inner: ByteRange | undefined; edges: ByteRange[] } {
  const end = offset + length
  const first = Math.ceil(offset / blockBytes) * blockBytes
  const last = end === size ? end : Math.floor(end / blockBytes) * blockBytes
  if (last <= first) return { inner: undefined, edges: length > 0 ? [{ offset, length }] : [] }
  const edges = [
    { offset, length: first - offset },
    { offset: last, length: end - last }
  ].filter(edge => edge.length > 0)
  return { inner: { offset: first, length: last - first }, edges }
}

/** In order, adjacent ones as one. */
export function joined(runs: readonly BlockRun[]): BlockRun[] {
  const result: BlockRun[] = []
  for (const run of [...runs].sort((a, b) => a.block - b.block)) {
    const last = result.at(-1)
    if (last !== undefined && last.block + last.count === run.block) {
      result[result.length - 1] = { block: last.block, count: last.count + run.count }
    } else result.push(run)
  }
  return result
}
