import {
  chunkTypes,
  extendedHeaderBytes,
  extendedReplyMagic,
  simpleReplyBytes,
  simpleReplyMagic,
  stringBytesMax,
  structuredHeaderBytes,
  structuredReplyMagic,
  type ReplyError,
  type Request
} from './wire.ts'

// The bytes of replies: what `wire.ts` is for requests and the handshake.

const chunkDone = 1

/** The header of a simple reply; the payload of a successful READ follows it. */
export function encodeSimpleReply(error: ReplyError, cookie: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(simpleReplyBytes)
  bytes.writeUInt32BE(simpleReplyMagic, 0)
  bytes.writeUInt32BE(error, 4)
  bytes.writeBigUInt64BE(cookie, 8)
  return bytes
}

/** What a chunk answers, and whether it is the last one of its reply. */
export interface ChunkHead {
  readonly style: 'structured' | 'extended'
  readonly request: Pick<Request, 'cookie' | 'sentOffset'>
  readonly done: boolean
}

/** The fields of a chunk are filled in from the offset that is returned beside it. */
function chunkBytes(head: ChunkHead, type: number, fields: number, more = 0): [Buffer, number] {
  const extended = head.style === 'extended'
  const at = extended ? extendedHeaderBytes : structuredHeaderBytes
  const bytes = Buffer.allocUnsafe(at + fields)
  bytes.writeUInt32BE(extended ? extendedReplyMagic : structuredReplyMagic, 0)
  bytes.writeUInt16BE(head.done ? chunkDone : 0, 4)
  bytes.writeUInt16BE(type, 6)
  bytes.writeBigUInt64BE(head.request.cookie, 8)
  if (extended) {
    bytes.writeBigUInt64BE(head.request.sentOffset, 16)
    writeUInt64(bytes, fields + more, 24)
  } else bytes.writeUInt32BE(fields + more, 16)
  return [bytes, at]
}

/** Nothing more to say: all went well. */
export function encodeNone(head: ChunkHead): Buffer {
  return chunkBytes(head, chunkTypes.NONE, 0)[0]
}

/** `length` bytes of data follow. */
export function encodeDataHeader(head: ChunkHead, offset: number, length: number): Buffer {
  const [bytes, at] = chunkBytes(head, chunkTypes.OFFSET_DATA, 8, length)
  writeUInt64(bytes, offset, at)
  return bytes
}

/** `length` bytes that are zeros, at most 2^32 - 1. */
export function encodeHole(head: ChunkHead, offset: number, length: number): Buffer {
  const [bytes, at] = chunkBytes(head, chunkTypes.OFFSET_HOLE, 12)
  writeUInt64(bytes, offset, at)
  bytes.writeUInt32BE(length, at + 8)
  return bytes
}

export interface StatusExtent {
  readonly length: number
  readonly flags: number
}

/** Lengths in a compact chunk have 32 bits; who calls has seen to it. */
export function encodeBlockStatus(
  head: ChunkHead,
  context: number,
  extents: readonly StatusExtent[]
): Buffer {
  if (head.style === 'extended') {
    const [bytes, at] = chunkBytes(head, chunkTypes.BLOCK_STATUS_EXT, 8 + 16 * extents.length)
    bytes.writeUInt32BE(context, at)
    bytes.writeUInt32BE(extents.length, at + 4)
    for (const [index, { length, flags }] of extents.entries()) {
      writeUInt64(bytes, length, at + 8 + 16 * index)
      writeUInt64(bytes, flags, at + 16 + 16 * index)
    }
    return bytes
  }
  const [bytes, at] = chunkBytes(head, chunkTypes.BLOCK_STATUS, 4 + 8 * extents.length)
  bytes.writeUInt32BE(context, at)
  for (const [index, { length, flags }] of extents.entries()) {
    bytes.writeUInt32BE(length, at + 4 + 8 * index)
    bytes.writeUInt32BE(flags, at + 8 + 8 * index)
  }
  return bytes
}

/** `message` is for people, and cut where the protocol's bound on strings is. */
export function encodeErrorChunk(head: ChunkHead, error: ReplyError, message: string): Buffer {
  const text = Buffer.from(message, 'utf8').subarray(0, stringBytesMax)
  const [bytes, at] = chunkBytes(head, chunkTypes.ERROR, 6 + text.length)
  bytes.writeUInt32BE(error, at)
  bytes.writeUInt16BE(text.length, at + 4)
  bytes.set(text, at + 6)
  return bytes
}

function writeUInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4)
}
