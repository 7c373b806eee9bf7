// Every number and byte layout of the NBD protocol that this room speaks, after the NBD project's
// doc/proto.md; the tables are in docs/nbd.md. All integers are big-endian. Nothing here does I/O.

/** Opens the server's greeting: "NBDMAGIC". */
export const greetingMagic = 0x4e42444d41474943n
/** Follows it, and opens every option the client sends: "IHAVEOPT". */
export const optionMagic = 0x49484156454f5054n
const optionReplyMagic = 0x3e889045565a9n
export const requestMagic = 0x25609513
const extendedRequestMagic = 0x21e41c71
export const simpleReplyMagic = 0x67446698
export const structuredReplyMagic = 0x668e33ef
export const extendedReplyMagic = 0x6e8a278c

export const handshakeFlags = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const
/** The client's answer to the handshake flags uses the same bits. */
export const clientFlags = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const

export const transmissionFlags = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  ROTATIONAL: 1 << 4,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_RESIZE: 1 << 9,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
  BLOCK_STATUS_PAYLOAD: 1 << 12
} as const

export const options = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  PEEK_EXPORT: 4,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11
} as const

const errorReply = 0x8000_0000
export const optionReplies = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: errorReply + 1,
  ERR_POLICY: errorReply + 2,
  ERR_INVALID: errorReply + 3,
  ERR_PLATFORM: errorReply + 4,
  ERR_TLS_REQD: errorReply + 5,
  ERR_UNKNOWN: errorReply + 6,
  ERR_SHUTDOWN: errorReply + 7,
  ERR_BLOCK_SIZE_REQD: errorReply + 8,
  ERR_TOO_BIG: errorReply + 9,
  ERR_EXT_HEADER_REQD: errorReply + 10
} as const

export const infos = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const

export const commands = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7
} as const

export const commandFlags = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
  PAYLOAD_LEN: 1 << 5
} as const

/** What a reply in chunks consists of; the high bit marks an error. */
export const chunkTypes = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  BLOCK_STATUS_EXT: 6,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002
} as const

/** The flags of the context "base:allocation". */
export const allocationFlags = { HOLE: 1, ZERO: 2 } as const
/** The flags of our own context, "bootswarm:presence". */
export const presenceFlags = { REMOTE: 1, WRITTEN: 2 } as const

/** The only values that the error field of a reply may have; 0 is success. */
export const replyErrors = {
  NONE: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108
} as const
export type ReplyError = (typeof replyErrors)[keyof typeof replyErrors]

/** The protocol's bound on any string. */
export const stringBytesMax = 4096

export const greetingBytes = 18
export const clientFlagsBytes = 4
export const optionHeaderBytes = 16
export const optionReplyHeaderBytes = 20
export const requestBytes = 28
export const extendedRequestBytes = 32
export const simpleReplyBytes = 16
export const structuredHeaderBytes = 20
export const extendedHeaderBytes = 32
const exportNameReplyBytes = 10
const exportNamePaddingBytes = 124

/** The name that a table above gives to a number, for logs: `nameOf(commands, 3)` is "FLUSH". */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  const entry = Object.entries(table).find(([, number]) => number === value)
  return entry === undefined ? `unknown (${value})` : entry[0]
}

export interface OptionHeader {
  readonly option: number
  readonly length: number
}

/** What follows the header of NBD_OPT_INFO and NBD_OPT_GO. */
export interface InfoQuery {
  readonly name: string
  /** Each kind of information that the client asked for, known to us or not. */
  readonly infos: ReadonlySet<number>
}

/** What follows the header of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export interface MetaQuery {
  readonly name: string
  readonly queries: readonly string[]
}

/**
 * How requests and replies are headed: `simple` and `structured` share the request of 28 bytes, and
 * structured replies come in chunks; `extended` has requests and chunks of 32 bytes.
 */
export type HeaderStyle = 'simple' | 'structured' | 'extended'

export interface Request {
  readonly flags: number
  readonly command: number
  /** Chosen by the client and given back in the reply. */
  readonly cookie: bigint
  /** Bytes. Beyond 2^53 it is rounded, which no comparison with a real device's size can notice. */
  readonly offset: number
  /** As it was sent, for an extended reply to repeat; 0 where requests are compact. */
  readonly sentOffset: bigint
  /** Bytes that the command is about, rounded as `offset` is. */
  readonly length: number
  /** Bytes that follow the header. */
  readonly payloadLength: number
}

export function encodeGreeting(flags: number): Buffer {
  const bytes = Buffer.alloc(greetingBytes)
  bytes.writeBigUInt64BE(greetingMagic, 0)
  bytes.writeBigUInt64BE(optionMagic, 8)
  bytes.writeUInt16BE(flags, 16)
  return bytes
}

/** Undefined where the magic is missing: what sent this is not an NBD client. */
export function decodeOptionHeader(bytes: Buffer): OptionHeader | undefined {
  if (bytes.readBigUInt64BE(0) !== optionMagic) return undefined
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) }
}

/** What a client sends. */
export function encodeOption(option: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(optionHeaderBytes + data.length)
  bytes.writeBigUInt64BE(optionMagic, 0)
  bytes.writeUInt32BE(option, 8)
  bytes.writeUInt32BE(data.length, 12)
  bytes.set(data, optionHeaderBytes)
  return bytes
}

export function encodeOptionReply(option: number, reply: number, data?: Uint8Array): Buffer {
  const length = data?.length ?? 0
  const bytes = Buffer.alloc(optionReplyHeaderBytes + length)
  bytes.writeBigUInt64BE(optionReplyMagic, 0)
  bytes.writeUInt32BE(option, 8)
  bytes.writeUInt32BE(reply, 12)
  bytes.writeUInt32BE(length, 16)
  if (data !== undefined) bytes.set(data, optionReplyHeaderBytes)
  return bytes
}

/** The answer to NBD_OPT_EXPORT_NAME; it has no header of its own. */
export function encodeExportNameReply(size: number, flags: number, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(exportNameReplyBytes + (noZeroes ? 0 : exportNamePaddingBytes))
  bytes.writeBigUInt64BE(BigInt(size), 0)
  bytes.writeUInt16BE(flags, 8)
  return bytes
}

/** Undefined where the lengths inside the option do not add up to the option's own. */
export function decodeInfoQuery(data: Buffer): InfoQuery | undefined {
  if (data.length < 6) return undefined
  const nameLength = data.readUInt32BE(0)
  if (nameLength > data.length - 6 || nameLength > stringBytesMax) return undefined
  const count = data.readUInt16BE(4 + nameLength)
  if (data.length !== 6 + nameLength + 2 * count) return undefined
  const asked = new Set<number>()
  for (let at = 6 + nameLength; at < data.length; at += 2) asked.add(data.readUInt16BE(at))
  return { name: data.toString('utf8', 4, 4 + nameLength), infos: asked }
}

/** The data of NBD_REP_SERVER. */
export function encodeServerEntry(name: string, description: string): Buffer {
  const nameBytes = Buffer.from(name, 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(nameBytes.length, 0)
  return Buffer.concat([length, nameBytes, Buffer.from(description, 'utf8')])
}

export function encodeExportInfo(size: number, flags: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(infos.EXPORT, 0)
  bytes.writeBigUInt64BE(BigInt(size), 2)
  bytes.writeUInt16BE(flags, 10)
  return bytes
}

export function encodeTextInfo(info: number, text: string): Buffer {
  const kind = Buffer.alloc(2)
  kind.writeUInt16BE(info, 0)
  return Buffer.concat([kind, Buffer.from(text, 'utf8')])
}

/** `minimum` and `preferred` are block sizes, `maximum` the largest payload; all in bytes. */
export function encodeBlockSizeInfo(minimum: number, preferred: number, maximum: number): Buffer {
  const bytes = Buffer.alloc(14)
  bytes.writeUInt16BE(infos.BLOCK_SIZE, 0)
  bytes.writeUInt32BE(minimum, 2)
  bytes.writeUInt32BE(preferred, 6)
  bytes.writeUInt32BE(maximum, 10)
  return bytes
}

/** Undefined where the lengths inside the option do not add up to the option's own. */
export function decodeMetaQuery(data: Buffer): MetaQuery | undefined {
  const name = decodeString(data, 0)
  if (name === undefined || name.end + 4 > data.length) return undefined
  const count = data.readUInt32BE(name.end)
  const queries: string[] = []
  let at = name.end + 4
  for (let index = 0; index < count; index++) {
    const query = decodeString(data, at)
    if (query === undefined) return undefined
    queries.push(query.text)
    at = query.end
  }
  return at === data.length ? { name: name.text, queries } : undefined
}

function decodeString(data: Buffer, at: number): { text: string; end: number } | undefined {
  if (at + 4 > data.length) return undefined
  const length = data.readUInt32BE(at)
  const end = at + 4 + length
  if (length > stringBytesMax || end > data.length) return undefined
  return { text: data.toString('utf8', at + 4, end), end }
}

/** The data of NBD_REP_META_CONTEXT. */
export function encodeMetaContext(id: number, name: string): Buffer {
  const idBytes = Buffer.alloc(4)
  idBytes.writeUInt32BE(id)
  return Buffer.concat([idBytes, Buffer.from(name, 'utf8')])
}

/** Undefined where the magic is missing: the stream has lost its framing and must be dropped. */
export function decodeRequest(bytes: Buffer, style: HeaderStyle, at = 0): Request | undefined {
  const extended = style === 'extended'
  const magic = extended ? extendedRequestMagic : requestMagic
  if (bytes.readUInt32BE(at) !== magic) return undefined
  const flags = bytes.readUInt16BE(at + 4)
  const command = bytes.readUInt16BE(at + 6)
  const length = extended ? readUInt64(bytes, at + 24) : bytes.readUInt32BE(at + 24)
  const hasPayload = extended
    ? (flags & commandFlags.PAYLOAD_LEN) !== 0
    : command === commands.WRITE
  return {
    flags,
    command,
    cookie: bytes.readBigUInt64BE(at + 8),
    offset: readUInt64(bytes, at + 16),
    sentOffset: extended ? bytes.readBigUInt64BE(at + 16) : 0n,
    length,
    payloadLength: hasPayload ? length : 0
  }
}

/** Beyond 2^53 it is rounded. */
function readUInt64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

/** The payload of an extended NBD_CMD_BLOCK_STATUS: the range, and the contexts that are asked for. */
export function decodeStatusQuery(
  payload: Buffer
): { length: number; contexts: readonly number[] } | undefined {
  if (payload.length < 12 || payload.length % 4 !== 0) return undefined
  const contexts: number[] = []
  for (let at = 8; at < payload.length; at += 4) contexts.push(payload.readUInt32BE(at))
  return { length: readUInt64(payload, 0), contexts }
}
