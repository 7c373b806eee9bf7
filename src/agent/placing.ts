import type { Frame } from '../base/index.ts'
import type { ImagePlace } from './image-place.ts'

/** Positions of one chunk that are written side by side. */
const together = 256

/**
 * Puts a chunk wherever the image has it. Not one position after the other: one that waits for room
 * on a full disk must not keep another from who reads it. Settles when the bytes are needed no more.
 */
export async function placeAll(
  place: ImagePlace,
  positions: readonly number[],
  plain: Uint8Array,
  frame: Frame | undefined
): Promise<void> {
  for (let at = 0; at < positions.length; at += together) {
    const needed = positions.slice(at, at + together).filter(position => place.needs(position))
    const placed = needed.map(position => place.place(position, plain, frame))
    const failed = (await Promise.allSettled(placed)).find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  }
}
