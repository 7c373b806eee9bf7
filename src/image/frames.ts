import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress, type ZstdOptions } from 'node:zlib'
import { BootswarmError } from '../base/index.ts'
import type { ChunkId, Frame } from '../base/index.ts'
import { chunkIdOf } from './ids.ts'

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/**
 * `kept` for a frame that rests in a store and is sent many times; `fast`, for one that somebody waits
 * for, takes half the processor time and a few per cent more of the line.
 */
export type Compression = 'kept' | 'fast'
const compressionLevels: Readonly<Record<Compression, number>> = { kept: 3, fast: 1 }

// A frame that saves less than this share is not worth a decompression on every machine.
const savingMin = 1 / 16

// A frame may ask for a window of no more than the largest chunk (RFC 8878, 3.1.1.1.2), which bounds
// the memory that a hostile one can claim.
const windowLogMax = 22

// Beyond the length expected, so that one call gives all output: a buffer that is just full makes zlib
// allocate and ask again. It also holds what zstd adds to bytes that do not compress.
const outputSlackBytes = 1024

/** The frame in which a chunk rests and travels; it keeps no reference to `plain`. */
export async function encodeFrame(
  plain: Uint8Array,
  compression: Compression = 'kept'
): Promise<Frame> {
  const bytes = await compress(plain, {
    chunkSize: plain.length + outputSlackBytes,
    params: { [constants.ZSTD_c_compressionLevel]: compressionLevels[compression] }
  })
  if (bytes.length > frameBytesMax(plain.length)) return plainFrame(new Uint8Array(plain))
  // zlib hands out a view of the whole output buffer; a copy lets go of the unused part.
  return { encoding: 'zstd', plainLength: plain.length, bytes: new Uint8Array(bytes) }
}

/** A frame that is longer is sent plain. */
export function frameBytesMax(plainLength: number): number {
  return Math.floor(plainLength * (1 - savingMin))
}

/** A frame without compression, over the same bytes. */
export function plainFrame(plain: Uint8Array): Frame {
  return { encoding: 'plain', plainLength: plain.length, bytes: plain }
}

/**
 * The plain bytes of a frame; ERR_CHUNK_CORRUPT if it is malformed, longer than `plainLengthMax`, or
 * not of the length that it states. Memory use is bounded by `plainLengthMax`, whatever it holds.
 */
export async function decodeFrame(frame: Frame, plainLengthMax: number): Promise<Uint8Array> {
  const { encoding, plainLength, bytes } = frame
  if (!Number.isSafeInteger(plainLength) || plainLength < 0 || plainLength > plainLengthMax) {
    throw corrupt(`a frame states ${plainLength} plain bytes, at most ${plainLengthMax} can be`)
  }
  const plain = encoding === 'plain' ? bytes : await decompressed(bytes, plainLength)
  if (plain.length !== plainLength) {
    throw corrupt(`a frame states ${plainLength} plain bytes and holds ${plain.length}`)
  }
  return plain
}

/** Decodes a frame and checks that it is the chunk `id`; ERR_CHUNK_CORRUPT if it is not. */
export async function verifiedPlain(
  id: ChunkId,
  frame: Frame,
  plainLengthMax: number
): Promise<Uint8Array> {
  const plain = await decodeFrame(frame, plainLengthMax)
  if (chunkIdOf(plain) !== id) throw corrupt(`bytes do not hash to chunk ${id}`)
  return plain
}

async function decompressed(bytes: Uint8Array, plainLength: number): Promise<Uint8Array> {
  try {
    return await decompress(bytes, decodingOptions(plainLength))
  } catch (cause) {
    throw corrupt('a zstd frame is malformed', cause)
  }
}

/** For any decoder of frames. */
export const decodingParams = { [constants.ZSTD_d_windowLogMax]: windowLogMax }

/** Bounds what decoding a frame of so many plain bytes may take, whatever is in it. */
function decodingOptions(plainLength: number): ZstdOptions {
  return {
    chunkSize: plainLength + outputSlackBytes,
    maxOutputLength: Math.max(plainLength, 1),
    params: decodingParams
  }
}

function corrupt(message: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_CHUNK_CORRUPT', message, { cause })
}
