import { open } from 'node:fs/promises'

const pieceBytes = 1024 * 1024
const blockBytes = 4096

/** Byte offsets of the 4 KiB blocks in which two disks of the same size differ. */
export async function differingBlocks(left: string, right: string): Promise<number[]> {
  await using leftFile = await open(left)
  await using rightFile = await open(right)
  const { size } = await leftFile.stat()
  const rightSize = (await rightFile.stat()).size
  if (size !== rightSize) throw new Error(`${left} has ${size} bytes, ${right} has ${rightSize}`)

  const leftPiece = Buffer.alloc(pieceBytes)
  const rightPiece = Buffer.alloc(pieceBytes)
  const differing: number[] = []
  for (let offset = 0; offset < size; offset += pieceBytes) {
    const length = Math.min(pieceBytes, size - offset)
    await Promise.all([
      leftFile.read(leftPiece, 0, length, offset),
      rightFile.read(rightPiece, 0, length, offset)
    ])
    if (leftPiece.equals(rightPiece)) continue
    for (let at = 0; at < length; at += blockBytes) {
      const leftBlock = leftPiece.subarray(at, at + blockBytes)
      if (!leftBlock.equals(rightPiece.subarray(at, at + blockBytes))) differing.push(offset + at)
    }
  }
  return differing
}
