import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { ChunkId, Frame } from '../../src/base/index.ts'
import { limits } from '../../src/base/index.ts'
import { chunkIdOf, encodeFrame, plainFrame } from '../../src/image/index.ts'

export type FrameKind = 'plain' | 'zstd'

/** 8 MiB: more than any processor cache of ours, so that bytes are read from memory as in a lab. */
const chunkCount = 64

/**
 * Chunks of the default size as frames: noise, which no compression shortens, or the program text of
 * Node itself, which zstd makes about two and a half times smaller, as it does a Debian image.
 */
export async function makeFrames(kind: FrameKind): Promise<Map<ChunkId, Frame>> {
  const size = limits.chunkBytesDefault
  const bytes = kind === 'plain' ? randomBytes(chunkCount * size) : await programText(size)
  const frames = new Map<ChunkId, Frame>()
  for (let at = 0; at < bytes.length; at += size) {
    const plain = bytes.subarray(at, at + size)
    const frame = kind === 'plain' ? plainFrame(plain) : await encodeFrame(plain)
    frames.set(chunkIdOf(plain), frame)
  }
  return frames
}

async function programText(size: number): Promise<Buffer> {
  const file = await open(process.execPath)
  try {
    const { size: fileBytes } = await file.stat()
    const bytes = Buffer.alloc(chunkCount * size)
    // From all over the program: its parts differ.
    const step = Math.floor((fileBytes - size) / chunkCount)
    for (let n = 0; n < chunkCount; n += 1) await file.read(bytes, n * size, size, n * step)
    return bytes
  } finally {
    await file.close()
  }
}
